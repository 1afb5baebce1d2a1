"""Convolutions, pooling, matrix products and attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["LINEAR", "pad_axes"]

Ints = tuple[int, ...]
Pads = list[tuple[int, int]]  # before and after, an axis

CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
AVERAGES = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAXIMA = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def pad_axes(x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Add entries of `value` to the last axes, or take entries away where a number is negative."""
    return F.pad(x, [number for pair in reversed(pads) for number in pair], value=value)


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Ints | None = None,
    pad_type: str = "valid",
    pad: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of x (n, C_in, ...) with weight (C_out, C_in / groups, ...)."""
    ones = (1,) * (x.dim() - 2)
    strides, dilations = strides or ones, dilations or ones
    pads = _pads(pad_type, pad, x.shape[2:], _extent(weight, dilations), strides)
    padded = pad_axes(x, pads)
    return CONVOLUTIONS[len(ones)](padded, weight, bias, stride=strides, dilation=dilations, groups=groups)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Ints | None = None,
    output_shape: Ints | None = None,
    pad_type: str = "valid",
    strides: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
) -> Tensor:
    """The gradient of `conv` by its input, weight (C_in, C_out / groups, ...): spread, then cropped by the padding.

    An `output_shape` that is larger than the spread result adds zeros at the end, before the bias.
    """
    ones = (1,) * (x.dim() - 2)
    strides, dilations = strides or ones, dilations or ones
    spread = TRANSPOSED[len(ones)](x, weight, stride=strides, dilation=dilations, groups=groups)
    sizes = output_shape and output_shape[2:]
    crops = _crops(pad_type, pad, spread.shape[2:], x.shape[2:], strides, sizes)
    result = pad_axes(spread, [(-before, -after) for before, after in crops])
    return result if bias is None else result + bias.reshape(-1, *ones)


def _crops(
    pad_type: str, pad: Ints | None, full: Sequence[int], sizes: Sequence[int], strides: Ints, wanted: Ints | None
) -> Pads:
    """What a transposed convolution loses by axis. "same" keeps the middle size * stride entries."""
    if pad_type == "same_lower":
        raise ValueError("pad_type same_lower is not defined here")
    if pad_type == "same":
        results = wanted or tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
        starts = [max(0, size - result) // 2 for size, result in zip(full, results, strict=True)]
    else:
        pairs = _pads(pad_type, pad, full, full, strides)
        results = wanted or tuple(size - sum(pair) for size, pair in zip(full, pairs, strict=True))
        starts = [before for before, _ in pairs]
    return [(start, size - start - result) for size, start, result in zip(full, starts, results, strict=True)]


def _extent(weight: Tensor, dilations: Ints) -> Ints:
    """How far a kernel reaches along each axis, dilation included."""
    return tuple((size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilations, strict=True))


def _pads(pad_type: str, pad: Ints | None, sizes: Sequence[int], kernel: Sequence[int], strides: Ints) -> Pads:
    """Padding by axis. "same" gives ceil(size / stride) results, the odd entry after ("same_lower": before)."""
    name = pad_type.lower()
    if name == "valid":
        return [(0, 0)] * len(sizes)
    if name == "custom":
        given = pad or (0,) * (2 * len(sizes))
        return list(zip(given[::2], given[1::2], strict=True))
    if name not in ("same", "same_lower"):
        raise ValueError(f"there is no pad_type {pad_type!r}")
    reach = zip(sizes, kernel, strides, strict=True)
    totals = [max(0, (math.ceil(size / stride) - 1) * stride + extent - size) for size, extent, stride in reach]
    halves = [(total // 2, total - total // 2) for total in totals]
    return halves if name == "same" else [(after, before) for before, after in halves]


def _windows(
    x: Tensor, kernel_sizes: Ints, strides: Ints, pad_type: str, pad: Ints | None, ceil_mode: bool
) -> tuple[Pads, Pads]:
    """Padding of a pooling by axis: what the operation states, and what else its last windows need or leave over."""
    stated = _pads(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    extra = []
    for size, kernel, stride, (before, after) in zip(x.shape[2:], kernel_sizes, strides, stated, strict=True):
        room = size + before + after
        count = (room - kernel + (stride - 1 if ceil_mode else 0)) // stride + 1
        if ceil_mode and before + after > 0 and (count - 1) * stride >= size + before:
            count -= 1  # the last window would begin behind the input
        extra.append((0, (count - 1) * stride + kernel - room))
    return stated, extra


def avg_pool(
    x: Tensor,
    kernel_sizes: Ints,
    pad_type: str,
    strides: Ints | None = None,
    pad: Ints | None = None,
    ceil_mode: bool = False,
    exclude_padding_from_average: bool = False,
) -> Tensor:
    """Means over windows; zeros of the padding count unless they are excluded, what is behind them never does."""
    strides = strides or (1,) * len(kernel_sizes)
    stated, extra = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    mean = AVERAGES[len(kernel_sizes)]
    counted = pad_axes(torch.ones_like(x), stated, value=0.0 if exclude_padding_from_average else 1.0)
    share = mean(pad_axes(counted, extra), kernel_sizes, strides)
    return mean(pad_axes(pad_axes(x, stated), extra), kernel_sizes, strides) / share


def max_pool(
    x: Tensor,
    kernel_sizes: Ints,
    pad_type: str,
    strides: Ints | None = None,
    pad: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Maxima over windows; padding never wins."""
    strides = strides or (1,) * len(kernel_sizes)
    stated, extra = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    padded = pad_axes(pad_axes(x, stated, -math.inf), extra, -math.inf)
    return MAXIMA[len(kernel_sizes)](padded, kernel_sizes, strides)


def l2_pool(
    x: Tensor,
    kernel_sizes: Ints,
    pad_type: str,
    strides: Ints | None = None,
    pad: Ints | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Roots of the sums of squares over windows."""
    strides = strides or (1,) * len(kernel_sizes)
    stated, extra = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    means = AVERAGES[len(kernel_sizes)](pad_axes(pad_axes(x.square(), stated), extra), kernel_sizes, strides)
    return torch.sqrt(means * math.prod(kernel_sizes))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x weight^T + bias, weight (D_out, D_in)."""
    product = x @ weight.transpose(0, 1)
    return product if bias is None else product + bias


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """Matrix product of the last two axes, the others broadcast."""
    left = x.transpose(-1, -2) if transpose_x else x
    right = y.transpose(-1, -2) if transpose_y else y
    return left @ right


def einsum(values: tuple[Tensor, ...], equation: str) -> Tensor:
    """Sum of products in Einstein's notation."""
    return torch.einsum(equation, *values)


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """softmax(query key^T / sqrt(E) + mask) value; a mask of bool reads where it is true."""
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.softmax(scores, -1) @ value


LINEAR: Mapping[str, Callable[..., Any]] = {
    "avg_pool": avg_pool,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "einsum": einsum,
    "l2_pool": l2_pool,
    "linear": linear,
    "matmul": matmul,
    "max_pool": max_pool,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
