"""Bicubic resizing as two matrix products, for batches of any float type: what super-resolution undoes.

It follows MATLAB's imresize, which made the low-resolution pictures of the published tables: Keys' cubic convolution
with a = -0.5 (IEEE Trans. ASSP 29(6), 1981), widened when shrinking against aliasing, mirrored at borders. Core ML
ignores the antialias flag of torch's own resize; a matrix product means the same everywhere.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["resize", "resize_matrix"]

SUPPORT = 2.0  # half the width of the cubic


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) of floats -> (B, C, height, width); values may overshoot at edges."""
    rows = torch.from_numpy(resize_matrix(images.shape[2], height)).to(images)
    columns = torch.from_numpy(resize_matrix(images.shape[3], width)).to(images)
    return rows @ images @ columns.T


@lru_cache(maxsize=256)
def resize_matrix(before: int, after: int) -> NDArray[np.float64]:
    """(after, before): row i holds the weights of the samples that make new sample i; each row adds up to 1."""
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
    return matrix


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys 1981, equation 15."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < SUPPORT, far, 0.0))
