"""Shapes: views, slices, joins, padding, foldings of pixels and channels, and tensors made from a shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mobigen.export.reference.kernels.linear import pad_axes

__all__ = ["SHAPE"]

Ints = tuple[int, ...]


def reshape(x: Tensor, shape: Ints) -> Tensor:
    """The same numbers in another shape: 0 keeps the size at the same place from the right, -1 takes what is left."""
    kept = [1] * max(0, len(shape) - x.dim()) + list(x.shape)[-len(shape) :] if shape else []
    return x.reshape([old if size == 0 else size for size, old in zip(shape, kept, strict=True)])


def reshape_like(x: Tensor, ref_tensors: tuple[Tensor, ...], begins: Ints, ends: Ints, end_masks: Ints) -> Tensor:
    """The shape is made of parts of other tensors' shapes."""
    parts = zip(ref_tensors, begins, ends, end_masks, strict=True)
    return x.reshape([size for ref, begin, end, mask in parts for size in ref.shape[begin : None if mask else end]])


def flatten2d(x: Tensor, axis: int = 1) -> Tensor:
    """(sizes before the axis, the others)."""
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def expand_dims(x: Tensor, axes: Ints) -> Tensor:
    """New axes of size 1, at these places of the result."""
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def squeeze(x: Tensor, axes: Ints | None = None) -> Tensor:
    """Without these axes, or all axes, where the size is 1."""
    return x.squeeze() if axes is None else x.squeeze(axes)


def transpose(x: Tensor, perm: Ints) -> Tensor:
    """Axis i of the result is axis perm[i] of x."""
    return x.permute(perm)


def reverse(x: Tensor, axes: Ints | None = None) -> Tensor:
    """The other way round along these axes, or all."""
    return x.flip(tuple(range(x.dim())) if axes is None else axes)


def reverse_sequence(x: Tensor, lengths: Tensor, seq_axis: int = 0, batch_axis: int = 0) -> Tensor:
    """Sample i the other way round in its first lengths[i] steps."""
    moved = x.movedim((batch_axis, seq_axis), (0, 1))
    step, length = torch.arange(moved.shape[1]), lengths.long()[:, None]
    source = torch.where(step < length, length - 1 - step, step)
    rows = torch.arange(moved.shape[0])[:, None]
    return moved[rows, source].movedim((0, 1), (batch_axis, seq_axis))


def slice_by_index(
    x: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Ints | None = None,
    end_mask: Ints | None = None,
    squeeze_mask: Ints | None = None,
) -> Tensor:
    """x[begin:end:stride] of every axis; a mask ignores begin or end, or takes the entry at begin alone."""
    squeezed = squeeze_mask or (0,) * x.dim()
    for axis, places in enumerate(_places(x, begin, end, stride, begin_mask, end_mask, squeezed)):
        if len(places) != x.shape[axis] or places != range(len(places)):
            x = x.index_select(axis, torch.tensor(places, dtype=torch.long))
    return x.squeeze([axis for axis, mask in enumerate(squeezed) if mask])


def slice_update(
    x: Tensor,
    update: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Ints | None = None,
    end_mask: Ints | None = None,
    squeeze_mask: Ints | None = None,
) -> Tensor:
    """x with other numbers in the part that `slice_by_index` would take."""
    places = _places(x, begin, end, stride, begin_mask, end_mask, squeeze_mask or (0,) * x.dim())
    grid = torch.meshgrid(*(torch.tensor(each, dtype=torch.long) for each in places), indexing="ij")
    result = x.clone()
    result[grid] = update.reshape(grid[0].shape)
    return result


def _places(
    x: Tensor,
    begin: Ints,
    end: Ints,
    stride: Ints | None,
    begin_mask: Ints | None,
    end_mask: Ints | None,
    squeeze_mask: Ints,
) -> list[range]:
    """The entries that a slice takes of every axis."""
    none = (0,) * x.dim()
    parts = zip(x.shape, begin, end, stride or (1,) * x.dim(), begin_mask or none, end_mask or none, strict=True)
    slices = [
        (size, slice(None if no_begin else first, None if no_end else last, step))
        for size, first, last, step, no_begin, no_end in parts
    ]
    return [
        range(size)[each.start :][:1] if alone else range(size)[each]
        for (size, each), alone in zip(slices, squeeze_mask, strict=True)
    ]


def slice_by_size(x: Tensor, begin: Ints, size: Ints) -> Tensor:
    """`size` entries from `begin`, of every axis; -1 takes all that are left."""
    for axis, (first, count) in enumerate(zip(begin, size, strict=True)):
        start = first % x.shape[axis]
        x = x.narrow(axis, start, x.shape[axis] - start if count == -1 else count)
    return x


def split(x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Ints | None = None) -> tuple[Tensor, ...]:
    """Parts of the given sizes, or as many parts of equal size."""
    if split_sizes is not None:
        return x.split(split_sizes, axis)
    if not num_splits or x.shape[axis] % num_splits:
        raise ValueError(f"{num_splits} parts of {x.shape[axis]}")
    return x.chunk(num_splits, axis)


def concat(values: tuple[Tensor, ...], axis: int, interleave: bool = False) -> Tensor:
    """Joined along the axis, one after another or, interleaved, entry by entry."""
    if not interleave:
        return torch.cat([each.reshape(1) if each.dim() == 0 else each for each in values], axis)
    place = axis % values[0].dim()
    return torch.stack(values, place + 1).flatten(place, place + 1)


def stack(values: tuple[Tensor, ...], axis: int) -> Tensor:
    """Joined along a new axis."""
    return torch.stack(values, axis)


def tile(x: Tensor, reps: Ints) -> Tensor:
    """Repeated so many times along every axis."""
    return x.tile(reps)


def crop(x: Tensor, crop_height: Ints, crop_width: Ints) -> Tensor:
    """Without so many rows at top and bottom, columns at left and right."""
    (top, bottom), (left, right) = crop_height, crop_width
    return pad_axes(x, [(-top, -bottom), (-left, -right)])


def pad(x: Tensor, pad: Ints, mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """More entries around the last axes: a constant, the border's (replicate), or what is behind it (reflect)."""
    pads = list(zip(pad[::2], pad[1::2], strict=True))
    if mode == "constant":
        return pad_axes(x, pads, constant_val)
    for axis, (before, after) in enumerate(pads, start=x.dim() - len(pads)):
        x = x.index_select(axis, _around(x.shape[axis], before, after, mode))
    return x


def _around(size: int, before: int, after: int, mode: str) -> Tensor:
    """Which of `size` entries stands at each place of the padded axis."""
    places = torch.arange(-before, size + after)
    if mode == "replicate":
        return places.clamp(0, size - 1)
    if mode != "reflect" or max(before, after) >= size:
        raise ValueError(f"{mode} of {before} and {after} around {size}")
    return size - 1 - (size - 1 - places.abs()).abs()


def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """(n, C f^2, H, W) -> (n, C, H f, W f); channel c f^2 + i f + j goes to row i, column j of its block."""
    return torch.nn.functional.pixel_shuffle(x, upscale_factor)


def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    """The inverse of `pixel_shuffle`."""
    return torch.nn.functional.pixel_unshuffle(x, downscale_factor)


def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """(n, C b^2, H, W) -> (n, C, H b, W b); channel (i b + j) C + c goes to row i, column j of its block."""
    n, channels, height, width = x.shape
    blocks = x.reshape(n, block_size, block_size, channels // block_size**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, height * block_size, width * block_size)


def space_to_depth(x: Tensor, block_size: int) -> Tensor:
    """The inverse of `depth_to_space`."""
    n, channels, height, width = x.shape
    rows, columns = height // block_size, width // block_size
    blocks = x.reshape(n, channels, rows, block_size, columns, block_size)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, rows, columns)


def space_to_batch(x: Tensor, block_shape: Ints, paddings: Tensor) -> Tensor:
    """(n, C, H, W), padded -> (b0 b1 n, C, H / b0, W / b1); sample (i b1 + j) n + s has row i, column j of blocks."""
    padded = pad_axes(x, [(before, after) for before, after in paddings.tolist()])
    n, channels, height, width = padded.shape
    rows, columns = height // block_shape[0], width // block_shape[1]
    blocks = padded.reshape(n, channels, rows, block_shape[0], columns, block_shape[1])
    return blocks.permute(3, 5, 0, 1, 2, 4).reshape(-1, channels, rows, columns)


def batch_to_space(x: Tensor, block_shape: Ints, crops: Tensor) -> Tensor:
    """The inverse of `space_to_batch`; `crops` are taken off the borders at the end."""
    n, channels, rows, columns = x.shape
    blocks = x.reshape(*block_shape, n // math.prod(block_shape), channels, rows, columns)
    whole = blocks.permute(2, 3, 4, 0, 5, 1).reshape(-1, channels, rows * block_shape[0], columns * block_shape[1])
    return pad_axes(whole, [(-before, -after) for before, after in crops.tolist()])


def sliding_windows(x: Tensor, axis: int, size: int, stride: int = 1) -> Tensor:
    """All windows along the axis, (..., windows, size, ...)."""
    place = axis % x.dim()
    return x.unfold(place, size, stride).movedim(-1, place + 1)


def band_part(x: Tensor, lower: int = -1, upper: int = -1) -> Tensor:
    """x times 1 near the diagonal of the last two axes and 0 elsewhere, so an infinity outside becomes no number."""
    row, column = torch.arange(x.shape[-2])[:, None], torch.arange(x.shape[-1])
    inside = torch.ones(x.shape[-2:], dtype=torch.bool)
    if lower >= 0:
        inside &= row - column <= lower
    if upper >= 0:
        inside &= column - row <= upper
    return x * inside


def shape(x: Tensor) -> Tensor:
    """The sizes of x."""
    return torch.tensor(x.shape)


def fill(shape: Ints, value: Tensor | None = None) -> Tensor:
    """One number everywhere."""
    return torch.zeros(shape) if value is None else value.expand(shape)


def fill_like(ref_tensor: Tensor, value: Tensor | None = None) -> Tensor:
    """One number everywhere, in the shape of another tensor."""
    return fill(tuple(ref_tensor.shape), value)


def range_1d(start: Tensor, end: Tensor, step: Tensor) -> Tensor:
    """start, start + step, ... up to but not including end."""
    return torch.arange(start.item(), end.item(), step.item(), dtype=start.dtype)


SHAPE: Mapping[str, Callable[..., Any]] = {
    "band_part": band_part,
    "batch_to_space": batch_to_space,
    "concat": concat,
    "crop": crop,
    "depth_to_space": depth_to_space,
    "expand_dims": expand_dims,
    "fill": fill,
    "fill_like": fill_like,
    "flatten2d": flatten2d,
    "pad": pad,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "range_1d": range_1d,
    "reshape": reshape,
    "reshape_like": reshape_like,
    "reverse": reverse,
    "reverse_sequence": reverse_sequence,
    "shape": shape,
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "slice_update": slice_update,
    "sliding_windows": sliding_windows,
    "space_to_batch": space_to_batch,
    "space_to_depth": space_to_depth,
    "split": split,
    "squeeze": squeeze,
    "stack": stack,
    "tile": tile,
    "transpose": transpose,
}
