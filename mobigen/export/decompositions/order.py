"""Order and running products, for LiteRT, whose interpreter has no sort, and stable order, which Core ML has not.

Every value is compared with every other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mobigen.errors import ExportError
from mobigen.export.decompositions.cure import Cure, Table

__all__ = ["BOTH", "LITERT", "MOST_COMPARISONS"]

aten = torch.ops.aten
MOST_COMPARISONS = 2**24  # 64 MB in float32


def _ranked(x: Tensor, dim: int, descending: bool, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` values of an axis in order, and where they were; equal ones keep their order."""
    size = x.shape[dim]
    if x.numel() * size > MOST_COMPARISONS:
        raise ExportError(
            f"{x.numel() // size} x {size} values are too many to sort by comparing each with each; "
            "sort outside of the graph"
        )
    rows = x.movedim(dim, -1)
    values = rows.reshape(-1, 1, size)
    others = values.transpose(1, 2)  # [row, other, value] below
    place = torch.arange(size)
    earlier = others > values if descending else others < values
    tie = torch.logical_and(others == values, place[:, None] < place)
    rank = torch.logical_or(earlier, tie).to(x.dtype).sum(1, keepdim=True)
    match = rank == torch.arange(count, dtype=x.dtype)[:, None]  # [row, rank, value]
    ordered = torch.where(match, values, torch.zeros((), dtype=x.dtype)).sum(2)
    index = torch.where(match, place.to(torch.int32), torch.zeros((), dtype=torch.int32)).sum(2).to(torch.int64)
    shape = (*rows.shape[:-1], count)
    return ordered.reshape(shape).movedim(-1, dim), index.reshape(shape).movedim(-1, dim)


def sort(x: Tensor, dim: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
    """Values and indices."""
    return _ranked(x, dim, descending, x.shape[dim])


def stable_sort(x: Tensor, *, stable: bool, dim: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
    """`sort`, which is stable."""
    return sort(x, dim, descending)


def argsort(x: Tensor, dim: int = -1, descending: bool = False) -> Tensor:
    """The indices of `sort`."""
    return sort(x, dim, descending)[1]


def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The first k of `sort`."""
    return _ranked(x, dim, largest, k)


def cumprod(x: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Running products by doubling (Hillis and Steele 1986): after step s every value holds the last 2 s of them."""
    size, step = x.shape[dim], 1
    while step < size:
        late = x.narrow(dim, step, size - step) * x.narrow(dim, 0, size - step)
        x, step = torch.cat([x.narrow(dim, 0, step), late], dim), 2 * step
    return x


def one_hot(x: Tensor, classes: int = -1) -> Tensor:
    """(...) -> (..., classes) with 1 where the class is."""
    return (x.unsqueeze(-1) == torch.arange(classes, dtype=x.dtype)).to(torch.int64)


BOTH: Table = {aten.sort.stable: Cure(stable_sort)}
LITERT: Table = {
    aten.sort.default: Cure(sort),
    aten.argsort.default: Cure(argsort),
    aten.topk.default: Cure(topk),
    aten.cumprod.default: Cure(cumprod),
    aten.one_hot.default: Cure(one_hot),
}
