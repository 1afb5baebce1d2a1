"""Gathering and scattering by index."""

import numpy as np

from mil_cases.case import Case, draw, integers

X = draw(4, 3, 5)
PLACES = np.array([[0, 3], [2, 2]], np.int32)
ALONG = integers(4, 3, 2, high=5)
SPOTS = np.array([[[0, 2], [3, 1]], [[1, 0], [2, 2]]], np.int32)
UPDATES = draw(4, 3, 2, seed=1, low=0.5, high=2.0)

COMBINED = {
    "update": lambda old, new: new,
    "add": lambda old, new: old + new,
    "sub": lambda old, new: old - new,
    "mul": lambda old, new: old * new,
    "div": lambda old, new: old / new,
    "max": max,
    "min": min,
}


def scattered(data, places, updates, mode):
    """Entry after entry: `places` pairs an index of the result with an index of the updates."""
    result = data.copy()
    for to, source in places:
        result[to] = COMBINED[mode](result[to], updates[source])
    return result


def along(mode):
    def expected(data, updates):
        places = [((i, j, (2, 4)[k]), (i, j, k)) for i, j, k in np.ndindex(4, 3, 2)]
        return scattered(data, places, updates, mode)

    return Case(
        f"scatter, {mode}",
        {"data": X, "updates": UPDATES},
        lambda mb, data, updates: mb.scatter(
            data=data, indices=np.array([2, 4], np.int32), updates=updates, axis=-1, mode=mode
        ),
        expected,
    )


CASES = [
    Case("gather", {"x": X, "indices": PLACES}, lambda mb, x, indices: mb.gather(x=x, indices=indices, axis=0),
         lambda x, indices: np.stack([np.stack([x[i] for i in row]) for row in indices])),
    Case("gather from the end", {"x": X, "indices": np.array([-1, 0, -5], np.int32)},
         lambda mb, x, indices: mb.gather(x=x, indices=indices, axis=-1), lambda x, indices: x[:, :, [4, 0, 0]]),
    Case("gather in batches", {"x": draw(2, 3, 5), "indices": np.array([[0, 2, 1, 1], [2, 0, 0, 1]], np.int32)},
         lambda mb, x, indices: mb.gather(x=x, indices=indices, axis=1, batch_dims=1),
         lambda x, indices: np.stack([x[0, [0, 2, 1, 1]], x[1, [2, 0, 0, 1]]]), "iOS16"),
    Case("gather of one", {"x": X, "indices": PLACES},
         lambda mb, x, indices: mb.gather(
             x=x, indices=mb.reshape(x=mb.reduce_max(x=indices, axes=[0, 1], keep_dims=True), shape=[1]), axis=0
         ),
         lambda x, indices: x[3:4], "iOS17"),
    Case("gather_along_axis", {"x": X, "indices": ALONG},
         lambda mb, x, indices: mb.gather_along_axis(x=x, indices=indices, axis=2),
         lambda x, indices: np.array([x[i, j, indices[i, j, k]] for i, j, k in np.ndindex(4, 3, 2)])
         .reshape(4, 3, 2)),
    Case("gather_nd", {"x": X, "indices": SPOTS}, lambda mb, x, indices: mb.gather_nd(x=x, indices=indices),
         lambda x, indices: np.stack([np.stack([x[i, j] for i, j in row]) for row in indices])),
    Case("gather_nd in batches", {"x": X[:2], "indices": np.array([[[2, 4]], [[0, 1]]], np.int32)},
         lambda mb, x, indices: mb.gather_nd(x=x, indices=indices, batch_dims=1),
         lambda x, indices: np.array([[x[0, 2, 4]], [x[1, 0, 1]]]), "iOS17"),
    *(along(mode) for mode in COMBINED),
    Case("scatter_along_axis", {"data": X, "indices": ALONG, "updates": UPDATES},
         lambda mb, data, indices, updates: mb.scatter_along_axis(
             data=data, indices=indices, updates=updates, axis=2, mode="add"
         ),
         lambda data, indices, updates: scattered(
             data, [((i, j, indices[i, j, k]), (i, j, k)) for i, j, k in np.ndindex(4, 3, 2)], updates, "add"
         )),
    Case("scatter_nd", {"data": X, "updates": draw(2, 2, 5, seed=2)},
         lambda mb, data, updates: mb.scatter_nd(data=data, indices=SPOTS, updates=updates, mode="max"),
         lambda data, updates: scattered(
             data, [((*SPOTS[i, j], k), (i, j, k)) for i, j, k in np.ndindex(2, 2, 5)], updates, "max"
         ), "iOS17"),
    Case("one_hot", {"indices": PLACES},
         lambda mb, indices: mb.one_hot(indices=indices, one_hot_vector_size=4, axis=1, on_value=0.1, off_value=-2.5),
         lambda indices: np.stack([np.where(indices == i, float(np.float32(0.1)), -2.5) for i in range(4)], 1)),
    Case("non_zero", {"x": np.array([[0, 3], [1, 0]], np.int32)},
         lambda mb, x: mb.reshape(x=mb.non_zero(x=x), shape=[2, 2]), lambda x: np.array([[0, 1], [1, 0]])),
]  # fmt: skip
