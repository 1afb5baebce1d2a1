"""Resizing: as matrices and indices, wherever the converters' own operations take other samples than torch does.

An axis is resized by a matrix (one row a new sample) or by an index. Both follow the rules of torch:
the source of sample i is i * scale with aligned corners, (i + 0.5) * scale - 0.5 otherwise, where scale is the size
that was over the size that will be, or one over the factor that the caller gave.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mobigen.export.decompositions.cure import Cure, Table

__all__ = ["BOTH", "COREML", "cubic_rows", "linear_rows", "nearest_index", "smooth_cubic_rows", "smooth_linear_rows"]

aten = torch.ops.aten
CUBIC = -0.75  # the slope of torch's bicubic kernel (Keys 1981)
SMOOTH_CUBIC = -0.5  # the slope of its antialiased one, Pillow's
Sizes = Sequence[int] | None
Factors = Sequence[float] | None
Kernel = Callable[[np.ndarray], np.ndarray]
Rows = Callable[[int, int, bool, float | None], np.ndarray]
Resize = Callable[..., Tensor]


def linear_rows(old: int, new: int, align_corners: bool, factor: float | None = None) -> np.ndarray:
    """(new, old): every new sample between two old ones; torch leaves an axis alone whose size stays."""
    factor = None if old == new else factor
    source = np.maximum(_sources(old, new, align_corners, factor), 0)
    below = np.minimum(np.floor(source).astype(int), old - 1)
    rows = np.zeros((new, old))
    for tap, weight in ((below, 1 - (source - below)), (np.minimum(below + 1, old - 1), source - below)):
        np.add.at(rows, (np.arange(new), tap), weight)
    return rows


def cubic_rows(old: int, new: int, align_corners: bool, factor: float | None = None) -> np.ndarray:
    """(new, old): every new sample among four old ones, the border repeated."""
    source = _sources(old, new, align_corners, factor)
    below = np.floor(source).astype(int)
    rows = np.zeros((new, old))
    for offset in (-1, 0, 1, 2):
        tap = below + offset
        np.add.at(rows, (np.arange(new), np.clip(tap, 0, old - 1)), _cubic(source - tap, CUBIC))
    return rows


def smooth_linear_rows(old: int, new: int, align_corners: bool, factor: float | None = None) -> np.ndarray:
    """(new, old): antialiased by a tent."""
    return _smooth_rows(_tent, 1, _scale(old, new, align_corners, factor), old, new)


def smooth_cubic_rows(old: int, new: int, align_corners: bool, factor: float | None = None) -> np.ndarray:
    """(new, old): antialiased by a cubic kernel."""
    return _smooth_rows(lambda x: _cubic(x, SMOOTH_CUBIC), 2, _scale(old, new, align_corners, factor), old, new)


def _smooth_rows(kernel: Kernel, reach: int, scale: float, old: int, new: int) -> np.ndarray:
    """A kernel of half width `reach`, which grows by the scale when that shrinks the picture, as Pillow's does."""
    stretch = max(scale, 1.0)
    centre = (np.arange(new)[:, None] + 0.5) * scale
    first = np.maximum((centre - reach * stretch + 0.5).astype(int), 0)
    last = np.minimum((centre + reach * stretch + 0.5).astype(int), old)
    tap = np.arange(old)
    weights = kernel((tap - centre + 0.5) / stretch) * ((tap >= first) & (tap < last))
    return weights / weights.sum(1, keepdims=True)


def nearest_index(old: int, new: int, factor: float | None = None) -> list[int]:
    """The old sample at or before the start of every new one."""
    step = np.float32(_scale(old, new, False, factor))  # single precision decides torch's ties
    return np.minimum(np.floor(np.arange(new, dtype=np.float32) * step).astype(int), old - 1).tolist()


def _scale(old: int, new: int, align_corners: bool, factor: float | None) -> float:
    if align_corners:
        return (old - 1) / (new - 1) if new > 1 else 0.0
    return 1 / factor if factor else old / new


def _sources(old: int, new: int, align_corners: bool, factor: float | None) -> np.ndarray:
    scale = _scale(old, new, align_corners, factor)
    return np.arange(new) * scale if align_corners else (np.arange(new) + 0.5) * scale - 0.5


def _tent(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(distance), 0)


def _cubic(distance: np.ndarray, slope: float) -> np.ndarray:
    x = np.abs(distance)
    near = ((slope + 2) * x - (slope + 3)) * x * x + 1
    far = slope * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _new_sizes(x: Tensor, sizes: Sizes, factors: Factors) -> list[tuple[int, int, float | None]]:
    """(size, new size, factor or None) of every axis after the channels."""
    if factors is None:
        return [(old, new, None) for old, new in zip(x.shape[2:], sizes or (), strict=True)]
    return [(old, int(old * factor), factor) for old, factor in zip(x.shape[2:], factors, strict=True)]


def by_matrices(rows: Rows) -> Resize:
    """The resizing of maps (B, C, ...) axis by axis, `rows` giving the matrix of one."""

    def resize(x: Tensor, sizes: Sizes, align_corners: bool, factors: Factors = None) -> Tensor:
        for axis, (old, new, factor) in enumerate(_new_sizes(x, sizes, factors), start=2):
            matrix = torch.tensor(rows(old, new, align_corners, factor).tolist(), dtype=x.dtype)
            x = _multiply(x, axis, matrix)
        return x

    return resize


def _multiply(x: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """(..., old, ...) -> (..., new, ...), at the rank of x."""
    if axis == x.dim() - 1:
        return x @ matrix.T
    product = matrix @ x.flatten(axis + 1)
    return product.reshape(*x.shape[:axis], len(matrix), *x.shape[axis + 1 :])


def by_index(x: Tensor, sizes: Sizes, factors: Factors = None) -> Tensor:
    """The resizing of maps (B, C, ...) by taking the nearest samples axis by axis."""
    for axis, index in enumerate(_indices(x, sizes, factors), start=2):
        x = _take(x, axis, index)
    return x


def _indices(x: Tensor, sizes: Sizes, factors: Factors) -> list[list[int]]:
    """Of every axis after the channels; for maps, torch forgets a factor if the size stays or doubles all the same."""
    exact = (1, 2) if x.dim() == 4 else ()
    axes = _new_sizes(x, sizes, factors)
    return [nearest_index(old, new, None if new / old in exact else factor) for old, new, factor in axes]


def _take(x: Tensor, axis: int, index: list[int]) -> Tensor:
    """Samples of one axis, as a repetition or a stride where it is one: accelerators have no gather."""
    old, new = x.shape[axis], len(index)
    if is_repetition(index, old):
        return _repeat(x, axis, new // old)
    step = old // new
    if step and index == list(range(index[0], old, step))[:new]:
        return aten.slice(x, axis, index[0], index[-1] + 1, step)
    return x.index_select(axis, torch.tensor(index))


def is_repetition(index: list[int], old: int) -> bool:
    """Whether an index takes every one of `old` samples equally often."""
    return len(index) % old == 0 and index == [sample for sample in range(old) for _ in range(len(index) // old)]


def _repeat(x: Tensor, axis: int, times: int) -> Tensor:
    """Every sample of an axis `times` times, at rank 3."""
    before, old, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    return x.reshape(-1, 1, math.prod(after)).expand(-1, times, -1).reshape(*before, old * times, *after)


def is_uneven(x: Tensor, sizes: Sizes, factors: Factors = None) -> bool:
    """Whether some samples are repeated more often than others, or left out.

    LiteRT then takes the sample in the middle. Core ML is told a factor, 1e-4 larger than the sizes have it unless the
    caller gave one; its definition leaves open whether that or the sizes decide, which can be a whole sample.
    """
    axes = zip(_indices(x, sizes, factors), x.shape[2:], strict=True)
    return not all(is_repetition(index, old) for index, old in axes)


def is_off_scale(x: Tensor, sizes: Sizes, align_corners: bool, factors: Factors = None) -> bool:
    """Whether torch goes by the caller's factor where the sizes have another: LiteRT goes by them, Core ML refuses."""
    axes = _new_sizes(x, sizes, factors)
    return not align_corners and any(factor and old * factor != new for old, new, factor in axes)


BOTH: Table = {
    aten.upsample_nearest2d.vec: Cure(by_index, is_uneven),
    aten.upsample_bilinear2d.vec: Cure(by_matrices(linear_rows), is_off_scale),
    aten.upsample_bicubic2d.vec: Cure(by_matrices(cubic_rows)),
    aten._upsample_bilinear2d_aa.vec: Cure(by_matrices(smooth_linear_rows)),
    aten._upsample_bicubic2d_aa.vec: Cure(by_matrices(smooth_cubic_rows)),
}
COREML: Table = {
    aten.upsample_nearest1d.vec: Cure(by_index, is_uneven),
    aten.upsample_linear1d.vec: Cure(by_matrices(linear_rows), is_off_scale),
    aten.upsample_trilinear3d.vec: Cure(by_matrices(linear_rows)),
}
