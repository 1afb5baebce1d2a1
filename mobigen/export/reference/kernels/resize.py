"""Resizing and resampling of images: which places of the input are read, and how they are mixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["RESIZE"]

Ints = tuple[int, ...]


def upsample_nearest_neighbor(x: Tensor, scale_factor_height: float = 1.0, scale_factor_width: float = 1.0) -> Tensor:
    """Entry i reads entry floor(i in / out), as the factors' sizes have it."""
    for axis, size in _scaled(x, scale_factor_height, scale_factor_width):
        x = x.index_select(axis, torch.arange(size) * x.shape[axis] // size)
    return x


def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    """Entry i reads the entry in which the centre of its pixel lies, floor((i + 1/2) in / out)."""
    return _nearest(x, (target_size_height, target_size_width))


def upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1.0,
    scale_factor_width: float = 1.0,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """Linear along both axes; corners fall on corners, or pixels' centres lie at halves, or neither."""
    at_halves = not align_corners if half_pixel_centers is None else half_pixel_centers
    if align_corners and at_halves:
        raise ValueError("align_corners and half_pixel_centers exclude each other")
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if at_halves else "DEFAULT"
    for axis, size in _scaled(x, scale_factor_height, scale_factor_width):
        x = _linear(x, axis, size, mode)
    return x


def resize_bilinear(
    x: Tensor, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT"
) -> Tensor:
    """Linear along both axes, at the places of `grid_points`."""
    rows = _linear(x, x.dim() - 2, target_size_height, sampling_mode)
    return _linear(rows, x.dim() - 1, target_size_width, sampling_mode)


def resize(
    x: Tensor, shape: Ints, resized_dims: int, interpolation_mode: str = "LINEAR", sampling_mode: str = "DEFAULT"
) -> Tensor:
    """The last `resized_dims` axes to the last sizes of `shape`, where 0 keeps the size of x."""
    kept = zip(shape[len(shape) - resized_dims :], x.shape[x.dim() - resized_dims :], strict=True)
    sizes = tuple(size or old for size, old in kept)
    if interpolation_mode == "LINEAR":
        for axis, size in enumerate(sizes, start=x.dim() - resized_dims):
            x = _linear(x, axis, size, sampling_mode)
        return x
    if (interpolation_mode, sampling_mode) != ("NEAREST_NEIGHBOR", "DEFAULT"):
        raise ValueError(f"{interpolation_mode} in sampling mode {sampling_mode} is not defined")
    return _nearest(x, sizes)


def _scaled(x: Tensor, height: float, width: float) -> list[tuple[int, int]]:
    """The last two axes and their sizes after scaling; factors are float32, and so are the products."""
    pairs = ((-2, height), (-1, width))
    return [(x.dim() + axis, int(np.float32(x.shape[axis]) * np.float32(factor))) for axis, factor in pairs]


def _nearest(x: Tensor, sizes: Ints) -> Tensor:
    for axis, size in enumerate(sizes, start=x.dim() - len(sizes)):
        x = x.index_select(axis, (2 * torch.arange(size) + 1) * x.shape[axis] // (2 * size))
    return x


def grid_points(size: int, count: int, mode: str) -> Tensor:
    """Where `count` entries read an axis of `size` entries -> (count,) float64 in [0, size - 1]."""
    steps = torch.arange(count, dtype=torch.float64)
    if mode == "ALIGN_CORNERS" and count == 1:
        points = steps + (size - 1) / 2
    elif mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        points = steps * ((size - 1) / max(1, count - 1))
    elif mode == "DEFAULT":
        points = steps * (size / count)
    elif mode == "OFFSET_CORNERS":
        points = (steps + 0.5) * (max(1, size - 1) / count)
    elif mode == "UNALIGN_CORNERS":
        points = (steps + 0.5) * (size / count) - 0.5
    else:
        raise ValueError(f"there is no sampling mode {mode!r}")
    return points.clamp(0, size - 1)


def _linear(x: Tensor, axis: int, count: int, mode: str) -> Tensor:
    """Linear interpolation along one axis."""
    points = grid_points(x.shape[axis], count, mode)
    low = points.floor().long()
    high = (low + 1).clamp(max=x.shape[axis] - 1)
    share = (points - low).to(x.dtype).reshape(-1, *[1] * (x.dim() - 1 - axis))
    return x.index_select(axis, low) * (1 - share) + x.index_select(axis, high) * share


def resample(
    x: Tensor,
    coordinates: Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """x (B, C, H, W) read at coordinates (B, H2, W2, 2), x before y."""
    sizes, points = (x.shape[3], x.shape[2]), coordinates.to(x.dtype)
    places = [
        _reflected(_in_pixels(points[..., each], size, coordinates_mode, align_corners), size, padding_mode)
        for each, size in enumerate(sizes)
    ]
    outside = padding_value if padding_mode == "constant" else None
    if sampling_mode == "nearest":
        return _pixels(x, places[1].round(), places[0].round(), outside)
    if sampling_mode != "bilinear":
        raise ValueError(f"there is no sampling mode {sampling_mode!r}")
    left, top = (each.floor() for each in places)
    corners = []
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        share = (1 - (places[0] - column).abs()) * (1 - (places[1] - row).abs())
        corners.append(_pixels(x, row, column, outside) * share[:, None])
    return torch.stack(corners).sum(0)


def _in_pixels(coordinate: Tensor, size: int, mode: str, align_corners: bool) -> Tensor:
    """A coordinate as a place in [0, size - 1]; corners are centres of pixels if aligned, or else their edges."""
    if mode == "unnormalized":
        return coordinate
    if mode not in ("normalized_minus_one_to_one", "normalized_zero_to_one"):
        raise ValueError(f"there is no coordinates mode {mode!r}")
    unit = (coordinate + 1) / 2 if mode == "normalized_minus_one_to_one" else coordinate
    return unit * (size - 1) if align_corners else unit * size - 0.5


def _reflected(place: Tensor, size: int, mode: str) -> Tensor:
    """Places outside brought inside, by repeating the border or by mirrors on the border's centres or edges."""
    if mode == "constant":
        return place
    if mode == "reflection":
        place = _mirrored(place, 0, size - 1)
    elif mode == "symmetric":
        place = _mirrored(place, -0.5, size - 0.5)
    elif mode != "border":
        raise ValueError(f"there is no padding mode {mode!r}")
    return place.clamp(0, size - 1)


def _mirrored(place: Tensor, low: float, high: float) -> Tensor:
    if high == low:
        return torch.full_like(place, low)
    period = 2 * (high - low)
    around = torch.remainder(place - low, period)
    return low + torch.minimum(around, period - around)


def _pixels(x: Tensor, row: Tensor, column: Tensor, outside: float | None) -> Tensor:
    """Pixels of x (B, C, H, W) at whole places (B, H2, W2) -> (B, C, H2, W2); `outside` the image, that number."""
    height, width = x.shape[2:]
    rows, columns = row.clamp(0, height - 1).long(), column.clamp(0, width - 1).long()
    batch = torch.arange(len(x))[:, None, None]
    found = x[batch, :, rows, columns].movedim(-1, 1)
    if outside is None:
        return found
    inside = (row == rows) & (column == columns)
    return torch.where(inside[:, None], found, torch.full_like(found, outside))


RESIZE: Mapping[str, Callable[..., Any]] = {
    "resample": resample,
    "resize": resize,
    "resize_bilinear": resize_bilinear,
    "resize_nearest_neighbor": resize_nearest_neighbor,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
