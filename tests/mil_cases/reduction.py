"""Reductions over axes, running sums and orders."""

import numpy as np

from mil_cases.case import Case, draw, integers

X = draw(2, 3, 4, low=0.25, high=2.0)
DISTINCT = np.random.default_rng(1).permutation(24).reshape(2, 3, 4).astype(np.float32)

REDUCTIONS = {
    "reduce_l1_norm": lambda x, axes: np.abs(x).sum(axes),
    "reduce_l2_norm": lambda x, axes: np.sqrt((x * x).sum(axes)),
    "reduce_log_sum": lambda x, axes: np.log(x.sum(axes)),
    "reduce_log_sum_exp": lambda x, axes: np.log(np.exp(x).sum(axes)),
    "reduce_max": lambda x, axes: x.max(axes),
    "reduce_mean": lambda x, axes: x.sum(axes) / (x.size / x.sum(axes).size),
    "reduce_min": lambda x, axes: x.min(axes),
    "reduce_prod": lambda x, axes: np.exp(np.log(x).sum(axes)),
    "reduce_sum": lambda x, axes: x.sum(axes),
    "reduce_sum_square": lambda x, axes: (x * x).sum(axes),
}


def over(kind, expected, axes, keep):
    """Over some axes, which stay with size 1 if `keep`."""

    def formula(x):
        result = expected(x, axes)
        return np.expand_dims(result, axes) if keep else result

    return Case(
        f"{kind} over {axes}",
        {"x": X},
        lambda mb, x: getattr(mb, kind)(x=x, axes=[axis - 3 for axis in axes], keep_dims=keep),
        formula,
    )


def ranked(mb_call, expected, target="iOS15", **attributes):
    return Case(mb_call, {"x": DISTINCT}, lambda mb, x: getattr(mb, mb_call)(x=x, **attributes), expected, target)


CASES = [
    *(over(kind, expected, (0, 2), keep=False) for kind, expected in REDUCTIONS.items()),
    *(over(kind, expected, (1,), keep=True) for kind, expected in REDUCTIONS.items()),
    Case(
        "reduce_mean of integers, without a fraction",
        {"x": np.array([[1, 2, 5], [-1, -3, -1]], np.int32)},
        lambda mb, x: mb.reduce_mean(x=x, axes=[1]),
        lambda x: np.array([2, -1]),
    ),
    Case(
        "reduce_sum of all",
        {"x": X},
        lambda mb, x: mb.reduce_sum(x=x, keep_dims=True),
        lambda x: x.sum().reshape(1, 1, 1),
    ),
    ranked("reduce_argmax", lambda x: np.argmax(x, 1), axis=1),
    ranked("reduce_argmin", lambda x: np.argmin(x, 2)[..., None], axis=-1, keep_dims=True),
    ranked("reduce_argmax", lambda x: np.argmax(x, 0), "iOS17", axis=0, output_dtype="uint16"),
    ranked("argsort", lambda x: np.argsort(-x, 1), axis=1),
    ranked("argsort", lambda x: np.argsort(x, 2), axis=-1, ascending=True),
    ranked("topk", lambda x: (np.sort(x, 2)[..., ::-1][..., :3], np.argsort(-x, 2)[..., :3]), k=3, axis=-1),
    ranked("topk", lambda x: (np.sort(x, 1)[:, :2], np.argsort(x, 1)[:, :2]), "iOS17", k=2, axis=1, ascending=True),
    ranked("topk", lambda x: np.sort(x, 0)[::-1], "iOS17", k=2, axis=0, return_indices=False),
    Case("cumsum", {"x": X}, lambda mb, x: mb.cumsum(x=x, axis=1), lambda x: np.cumsum(x, 1)),
    Case(
        "cumsum from the end, without the entry",
        {"x": integers(3, 4)},
        lambda mb, x: mb.cumsum(x=x, axis=1, exclusive=True, reverse=True),
        lambda x: np.stack([x[:, i + 1 :].sum(1) for i in range(4)], 1),
    ),
]
