"""Gathering and scattering by index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["INDEX"]


def gather(
    x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool | None = None
) -> Tensor:
    """Entries of x along the axis, in the shape of `indices`; the first `batch_dims` axes are walked in step."""
    if batch_dims:
        rows = zip(x, indices, strict=True)
        place = axis % x.dim() - 1
        return torch.stack([gather(part, each, place, batch_dims - 1, validate_indices) for part, each in rows])
    place = axis % x.dim()
    found = x.index_select(place, _places(indices, x.shape[place], validate_indices).reshape(-1))
    return found.reshape(*x.shape[:place], *indices.shape, *x.shape[place + 1 :])


def gather_along_axis(x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool | None = None) -> Tensor:
    """out[.., i, ..] = x[.., indices[.., i, ..], ..]."""
    return x.gather(axis, _places(indices, x.shape[axis], validate_indices))


def gather_nd(x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool | None = None) -> Tensor:
    """The last axis of `indices` holds a place in the first axes of x; the `batch_dims` axes are walked in step."""
    if batch_dims:
        rows = zip(x, indices, strict=True)
        return torch.stack([gather_nd(part, each, batch_dims - 1, validate_indices) for part, each in rows])
    return x[_grid(x, indices, validate_indices)]


def scatter(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    """Entries along the axis, at (C,) places, are combined with those of `updates`."""
    shape = [1] * data.dim()
    shape[axis] = -1
    places = indices.reshape(shape).expand(updates.shape)
    return scatter_along_axis(data, places, updates, axis, mode, validate_indices)


def scatter_along_axis(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    """out[.., indices[.., i, ..], ..] is combined with updates[.., i, ..]."""
    places = _places(indices, data.shape[axis], validate_indices)
    if mode == "update":
        return data.scatter(axis, places, updates)
    if mode in ("sub", "div"):
        updates = -updates if mode == "sub" else 1 / updates
    combine = {"add": "sum", "sub": "sum", "mul": "prod", "div": "prod", "max": "amax", "min": "amin"}[mode]
    return data.scatter_reduce(axis, places, updates, combine)


def scatter_nd(
    data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add", validate_indices: bool | None = None
) -> Tensor:
    """Places as in `gather_nd`, combined with `updates`."""
    numbers = torch.arange(data.numel()).reshape(data.shape)
    flat = numbers[_grid(data, indices, validate_indices)].reshape(-1)
    return scatter(data.reshape(-1), flat, updates.reshape(-1), 0, mode).reshape(data.shape)


def one_hot(
    indices: Tensor, one_hot_vector_size: int, axis: int = -1, on_value: float = 1.0, off_value: float = 0.0
) -> Tensor:
    """A new axis with `on_value` at the index and `off_value` elsewhere."""
    place = axis % (indices.dim() + 1)
    shape = [1] * (indices.dim() + 1)
    shape[place] = -1
    hits = torch.arange(one_hot_vector_size).reshape(shape) == indices.unsqueeze(place)
    on, off = (torch.tensor(each, dtype=torch.float64) for each in (on_value, off_value))
    return torch.where(hits, on, off)


def non_zero(x: Tensor) -> Tensor:
    """The places of the entries that are not zero, one a row."""
    return x.nonzero()


def _grid(x: Tensor, indices: Tensor, validate: bool | None) -> tuple[Tensor, ...]:
    columns = indices.unbind(-1)
    return tuple(_places(each, size, validate) for each, size in zip(columns, x.shape, strict=False))


def _places(indices: Tensor, size: int, validate: bool | None) -> Tensor:
    """Indices as int64. Negative ones count from the end, but only in the forms without `validate_indices`."""
    lowest = -size if validate is None else 0
    if indices.numel() and not lowest <= int(indices.min()) <= int(indices.max()) < size:
        raise ValueError(f"an index is outside {lowest} to {size - 1}, where devices differ")
    return indices.long() % size


INDEX: Mapping[str, Callable[..., Any]] = {
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "non_zero": non_zero,
    "one_hot": one_hot,
    "scatter": scatter,
    "scatter_along_axis": scatter_along_axis,
    "scatter_nd": scatter_nd,
}
