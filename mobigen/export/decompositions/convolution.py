"""Convolutions and pools that a converter cannot translate, made of those that it can."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.export.decompositions.cure import Cure, Table

__all__ = ["BOTH", "COREML", "LITERT"]

aten = torch.ops.aten
Sizes = Sequence[int]


def is_cropped(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = (1,),
    padding: Sizes = (0,),
    output_padding: Sizes = (0,),
    groups: int = 1,
    dilation: Sizes = (1,),
) -> bool:
    """Whether padding leaves another size than stride times the input's, as LiteRT's one operation does not."""
    axes = range(weight.dim() - 2)
    stride, padding, output_padding, dilation = (
        tuple(each) * (len(axes) if len(each) == 1 else 1) for each in (stride, padding, output_padding, dilation)
    )
    spans = [dilation[axis] * (weight.shape[2 + axis] - 1) + 1 - 2 * padding[axis] for axis in axes]
    uneven = any(stride[axis] > 1 and spans[axis] != stride[axis] for axis in axes)
    return any(padding) and (any(output_padding) or uneven)


def is_open(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = (1,),
    padding: Sizes = (0,),
    output_padding: Sizes = (0,),
    *others: Any,
) -> bool:
    """Whether it has an output padding and no other, which Core ML's converter trips over."""
    return any(output_padding) and not any(padding)


def transposed(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = (1,),
    padding: Sizes = (0,),
    output_padding: Sizes = (0,),
    groups: int = 1,
    dilation: Sizes = (1,),
) -> Tensor:
    """A transposed convolution of a map, (B, C, H, W) or (B, C, L), without padding, and a window of its result."""
    if x.dim() == 3:
        flat = x.unsqueeze(2), weight.unsqueeze(2), bias  # a map of one row
        stride, padding, output_padding, dilation = (1, *stride), (0, *padding), (0, *output_padding), (1, *dilation)
        return transposed(*flat, stride, padding, output_padding, groups, dilation).squeeze(2)
    stride, padding, output_padding, dilation = map(_pair, (stride, padding, output_padding, dilation))
    y = F.conv_transpose2d(x, weight, None, stride, 0, 0, groups, dilation)
    for axis, before, extra in zip((2, 3), padding, output_padding, strict=True):
        y = window(y, axis, before, y.shape[axis] - 2 * before + extra)
    return y if bias is None else y + bias[:, None, None]


def window(x: Tensor, axis: int, start: int, size: int) -> Tensor:
    """`size` samples of an axis from `start` on, zeros where there are none."""
    there = min(size, x.shape[axis] - start)
    x = x.narrow(axis, start, there)
    return F.pad(x, (0, 0) * (x.dim() - 1 - axis) + (0, size - there)) if there < size else x


def _pair(sizes: Sizes) -> tuple[int, int]:
    """Of torch's short form, one number for both axes, the long one."""
    return sizes[0], sizes[-1]


def has_groups(x: Tensor, weight: Tensor, *others: Any) -> bool:
    """LiteRT has no grouped CONV_3D."""
    return x.shape[1] != weight.shape[1]


def volume(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = (1, 1, 1),
    padding: Sizes = (0, 0, 0),
    dilation: Sizes = (1, 1, 1),
    groups: int = 1,
) -> Tensor:
    """A convolution of (B, C, T, H, W): for each row of the kernel in time, one of all frames; their sum."""
    batch, _, time = x.shape[:3]
    reach = dilation[0] * (weight.shape[2] - 1)
    frames = F.pad(x, (0, 0, 0, 0, padding[0], padding[0])).transpose(1, 2)  # (B, T', C, H, W)
    length = (time + 2 * padding[0] - reach - 1) // stride[0] + 1
    parts = []
    for row in range(weight.shape[2]):
        first = row * dilation[0]
        part = frames[:, first : first + stride[0] * (length - 1) + 1 : stride[0]].flatten(0, 1)
        once = None if row else bias
        parts.append(F.conv2d(part, weight[:, :, row], once, stride[1:], padding[1:], dilation[1:], groups))
    return functools.reduce(torch.add, parts).unflatten(0, (batch, length)).transpose(1, 2)


def fold(x: Tensor, size: Sizes, kernel: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes) -> Tensor:
    """Patches (B, C kh kw, L) -> the map (B, C, H, W) of their sums, as a transposed convolution of every channel."""
    taps = kernel[0] * kernel[1]
    height, width = (
        (total + 2 * border - step * (side - 1) - 1) // move + 1
        for total, border, step, side, move in zip(size, padding, dilation, kernel, stride, strict=True)
    )
    place = torch.tensor(np.eye(taps).reshape(taps, 1, *kernel).tolist(), dtype=x.dtype)
    y = F.conv_transpose2d(x.reshape(-1, taps, height, width), place, None, tuple(stride), 0, 0, 1, tuple(dilation))
    for axis, before, length in zip((2, 3), padding, size, strict=True):
        y = window(y, axis, before, length)
    return y.reshape(*x.shape[:-2], -1, *size)


def has_no_stride(x: Tensor, kernel: Sizes, stride: Sizes = (), *others: Any) -> bool:
    """Core ML's converter wants a stride, where torch takes the kernel's size."""
    return not stride


def max_pool(x: Tensor, kernel: Sizes, stride: Sizes = (), *others: Any) -> Tensor:
    """With its stride written out."""
    return aten.max_pool2d.default(x, kernel, kernel, *others)


BOTH: Table = {aten.col2im.default: Cure(fold)}
COREML: Table = {
    aten.max_pool2d.default: Cure(max_pool, has_no_stride),
    aten.conv_transpose1d.default: Cure(transposed, is_open),
    aten.conv_transpose2d.input: Cure(transposed, is_open),
}
LITERT: Table = {
    aten.conv_transpose1d.default: Cure(transposed, is_cropped),
    aten.conv_transpose2d.input: Cure(transposed, is_cropped),
    aten.conv3d.default: Cure(volume, has_groups),
}
