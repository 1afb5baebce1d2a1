"""Bicubic resizing as a matrix: Keys' cubic convolution with a = -0.5 (IEEE Trans. ASSP 29(6), 1981).

As MATLAB's imresize, which made the low-resolution pictures of the published tables: widened when shrinking, against
aliasing, and mirrored at borders. A matrix means the same everywhere; libraries differ in a, borders and aliasing.
"""

import math
from functools import lru_cache

import numpy as np

__all__ = ["resize_matrix"]

SUPPORT = 2.0  # half the width of the cubic


@lru_cache(maxsize=64)
def resize_matrix(before: int, after: int) -> np.ndarray:
    """(after, before) of float64: row i holds the weights of the samples that make new sample i, and adds up to 1."""
    ratio = after / before
    narrow = min(ratio, 1.0)  # the cubic is stretched by its inverse
    centre = (np.arange(after) + 0.5) / ratio - 0.5
    count = math.ceil(2 * SUPPORT / narrow) + 2
    taps = np.floor(centre - SUPPORT / narrow)[:, None] + np.arange(count)
    weights = _cubic((centre[:, None] - taps) * narrow)
    weights /= weights.sum(1, keepdims=True)
    mirrored = np.concatenate([np.arange(before), np.arange(before)[::-1]])[taps.astype(int) % (2 * before)]
    matrix = np.zeros((after, before))
    np.add.at(matrix, (np.arange(after)[:, None], mirrored), weights)
    matrix.setflags(write=False)  # it is shared
    return matrix


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys 1981, equation 15."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < SUPPORT, far, 0.0))
