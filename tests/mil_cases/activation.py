"""Activations and normalisations."""

import math

import numpy as np

from mil_cases.case import Case, draw

X = draw(2, 3, 4, 5, low=-3.0, high=8.0)
GAMMA, BETA, ALPHA = draw(3, seed=4), draw(3, seed=5), draw(3, seed=6)
MEAN, VARIANCE = draw(3, seed=7), draw(3, seed=8, low=0.5, high=2.0)
EPSILON = 2.0**-8


def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


def by_channel(vector):
    return vector.astype(np.float64)[:, None, None]


def standardised(x, axes):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt((x**2).mean(axes, keepdims=True) - mean**2 + EPSILON)


def local_response(x, size, alpha, beta, k):
    """Each channel divided by a power of the energy around it; size is odd."""
    energy = np.stack([(x[:, max(0, c - size // 2) : c + size // 2 + 1] ** 2).sum(1) for c in range(x.shape[1])], 1)
    return x / (k + alpha * energy / size) ** beta


def of_x(kind, expected, **attributes):
    return Case(kind, {"x": X}, lambda mb, x: getattr(mb, kind)(x=x, **attributes), expected)


GELU_EXACT = np.vectorize(lambda x: x * (1 - math.erfc(x / math.sqrt(2)) / 2))

CASES = [
    of_x("relu", lambda x: (x + np.abs(x)) / 2),
    of_x("relu6", lambda x: np.minimum(6, np.maximum(x, 0))),
    of_x("sigmoid", sigmoid),
    of_x("silu", lambda x: x * sigmoid(x)),
    of_x("softplus", lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)),
    of_x("softsign", lambda x: x / (1 + np.abs(x))),
    of_x("clamped_relu", lambda x: np.minimum(5, np.where(x < 0, 0.25 * x, x)), alpha=0.25, beta=5.0),
    of_x("elu", lambda x: np.where(x > 0, x, 1.5 * (np.exp(x) - 1)), alpha=1.5),
    of_x("leaky_relu", lambda x: np.maximum(x, 0) + 0.125 * np.minimum(x, 0), alpha=0.125),
    of_x("linear_activation", lambda x: 0.5 * x - 1.5, alpha=0.5, beta=-1.5),
    of_x("scaled_tanh", lambda x: 1.5 * (2 * sigmoid(x) - 1), alpha=1.5, beta=0.5),
    of_x("sigmoid_hard", lambda x: np.clip(0.125 * x + 0.5, 0, 1), alpha=0.125, beta=0.5),
    of_x("thresholded_relu", lambda x: x * (x >= 0.75), alpha=0.75),
    of_x("gelu", GELU_EXACT, mode="EXACT"),
    of_x(
        "gelu",
        lambda x: x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)),
        mode="TANH_APPROXIMATION",
    ),
    of_x("gelu", lambda x: x * sigmoid(1.702 * x), mode="SIGMOID_APPROXIMATION"),
    of_x("prelu", lambda x: np.maximum(x, 0) + by_channel(ALPHA) * np.minimum(x, 0), alpha=ALPHA),
    of_x(
        "softplus_parametric",
        lambda x: by_channel(ALPHA) * np.logaddexp(0, by_channel(BETA) * x),
        alpha=ALPHA,
        beta=BETA,
    ),
    of_x("softmax", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True), axis=1),
    of_x("softmax", lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    of_x(
        "batch_norm",
        lambda x: (
            by_channel(GAMMA) * (x - by_channel(MEAN)) / np.sqrt(by_channel(VARIANCE) + EPSILON) + by_channel(BETA)
        ),
        mean=MEAN,
        variance=VARIANCE,
        gamma=GAMMA,
        beta=BETA,
        epsilon=EPSILON,
    ),
    of_x(
        "instance_norm",
        lambda x: standardised(x, (2, 3)) * by_channel(GAMMA) + by_channel(BETA),
        gamma=GAMMA,
        beta=BETA,
        epsilon=EPSILON,
    ),
    of_x("layer_norm", lambda x: standardised(x, (3,)), axes=[-1], epsilon=EPSILON),
    of_x(
        "layer_norm",
        lambda x: (
            standardised(x, (1, 3)) * draw(3, 5, seed=9).astype(np.float64)[:, None]
            + draw(3, 5, seed=10).astype(np.float64)[:, None]
        ),
        axes=[1, 3],
        gamma=draw(3, 5, seed=9),
        beta=draw(3, 5, seed=10),
        epsilon=EPSILON,
    ),
    of_x(
        "l2_norm",
        lambda x: np.stack([each / math.sqrt((each * each).sum() + EPSILON) for each in x]),
        epsilon=EPSILON,
    ),
    of_x(
        "local_response_norm",
        lambda x: local_response(x, 3, 0.5, 0.75, 1.5),
        size=3,
        alpha=0.5,
        beta=0.75,
        k=1.5,
    ),
]
