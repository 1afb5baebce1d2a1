"""Reductions over axes, running sums and orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["REDUCTION"]

Ints = tuple[int, ...]


def over_axes(function: Callable[[Tensor, Ints], Tensor]) -> Callable[..., Tensor]:
    """A reduction from a function of a tensor and axes that keeps the axes, with size 1."""

    def kernel(x: Tensor, axes: Ints | None = None, keep_dims: bool = False) -> Tensor:
        chosen = tuple(range(x.dim())) if axes is None else tuple(sorted({axis % x.dim() for axis in axes}))
        kept = function(x, chosen)
        return kept if keep_dims else kept.squeeze(chosen)

    return kernel


def _wide(x: Tensor) -> Tensor:
    """Integers as float64, for means and roots."""
    return x if x.is_floating_point() else x.double()


def _product(x: Tensor, axes: Ints) -> Tensor:
    for axis in axes:
        x = x.prod(axis, keepdim=True)
    return x


def argmax(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Where the largest entry lies; `output_dtype` is stated by the program once more, as the result's type."""
    return x.argmax(axis, keepdim=keep_dims)


def argmin(x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> Tensor:
    """Where the smallest entry lies."""
    return x.argmin(axis, keepdim=keep_dims)


def cumsum(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """Running sums; without the entry itself if `exclusive`, from the end if `reverse`."""
    ordered = x.flip(axis) if reverse else x
    sums = ordered.cumsum(axis)
    if exclusive:
        start = torch.zeros_like(sums.narrow(axis, 0, 1))
        sums = torch.cat([start, sums.narrow(axis, 0, sums.shape[axis] - 1)], axis)
    return sums.flip(axis) if reverse else sums


def argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    """The order of the entries along the axis."""
    return x.sort(dim=axis, descending=not ascending, stable=True).indices


def topk(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> Tensor | tuple[Tensor, ...]:
    """The first k entries in order and their places; they are in order even without `sort`."""
    found = x.sort(dim=axis, descending=not ascending, stable=True)
    values, indices = (each.narrow(axis, 0, k) for each in found)
    return (values, indices) if return_indices else values


REDUCTION: Mapping[str, Callable[..., Any]] = {
    "argsort": argsort,
    "cumsum": cumsum,
    "reduce_argmax": argmax,
    "reduce_argmin": argmin,
    "reduce_l1_norm": over_axes(lambda x, axes: x.abs().sum(axes, keepdim=True)),
    "reduce_l2_norm": over_axes(lambda x, axes: _wide(x).square().sum(axes, keepdim=True).sqrt()),
    "reduce_log_sum": over_axes(lambda x, axes: _wide(x).sum(axes, keepdim=True).log()),
    "reduce_log_sum_exp": over_axes(lambda x, axes: torch.logsumexp(_wide(x), axes, keepdim=True)),
    "reduce_max": over_axes(lambda x, axes: x.amax(axes, keepdim=True)),
    "reduce_mean": over_axes(lambda x, axes: _wide(x).mean(axes, keepdim=True)),
    "reduce_min": over_axes(lambda x, axes: x.amin(axes, keepdim=True)),
    "reduce_prod": over_axes(_product),
    "reduce_sum": over_axes(lambda x, axes: x.sum(axes, keepdim=True)),
    "reduce_sum_square": over_axes(lambda x, axes: x.square().sum(axes, keepdim=True)),
    "topk": topk,
}
