"""Arithmetic, norms and masks that converters get wrong, in operations that they get right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.export.decompositions.cure import Cure, Table

__all__ = ["BOTH", "COREML"]

aten = torch.ops.aten
Number = int | float


def has_scale(x: Tensor, other: Tensor | Number, alpha: Number = 1) -> bool:
    """Core ML's converter drops `alpha`; LiteRT's refuses it."""
    return alpha != 1


def add(x: Tensor, other: Tensor | Number, alpha: Number = 1) -> Tensor:
    """x + alpha other."""
    return x + other * alpha


def subtract(x: Tensor, other: Tensor | Number, alpha: Number = 1) -> Tensor:
    """x - alpha other."""
    return x - other * alpha


def subtract_from(x: Tensor, other: Tensor | Number, alpha: Number = 1) -> Tensor:
    """other - alpha x."""
    return other - x * alpha


def rms_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """x / rms(x) * weight over the last axes (Zhang and Sennrich 2019, eq. 4).

    Core ML's converter scales x by its largest magnitude first and forgets epsilon, which matters on small inputs.
    """
    axes = tuple(range(-len(shape), 0))
    mean = (x * x).mean(axes, keepdim=True)
    normed = x * torch.rsqrt(mean + (torch.finfo(x.dtype).eps if eps is None else eps))
    return normed if weight is None else normed * weight


def reciprocal(x: Tensor) -> Tensor:
    """1 / x as a division: Core ML's `inverse` adds 1e-4 to x."""
    return torch.tensor(1.0, dtype=x.dtype) / x


def is_approximate(x: Tensor, approximate: str = "none") -> bool:
    """Core ML's converter drops `approximate`."""
    return approximate == "tanh"


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    """The tanh form of GELU (Hendrycks and Gimpel 2016), in the order that Core ML fuses back into one operation."""
    return x * (0.5 * (torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3))) + 1))


def atan2(y: Tensor, x: Tensor) -> Tensor:
    """The angle of (x, y) in (-pi, pi]; Core ML's own sequence is 0 instead of pi at y = 0, x < 0."""
    steep = y.abs() > x.abs()
    longer = torch.where(steep, y, x).abs()
    ratio = torch.where(steep, x, y).abs() / torch.where(longer == 0, torch.tensor(1.0, dtype=x.dtype), longer)
    angle = torch.where(steep, math.pi / 2 - torch.atan(ratio), torch.atan(ratio))
    angle = torch.where(x < 0, math.pi - angle, angle)
    return torch.where(y < 0, -angle, angle)


def has_low_threshold(x: Tensor, beta: Number = 1, threshold: Number = 20) -> bool:
    """Core ML's converter drops `threshold`; at 20 that is 2e-9."""
    return threshold < 20


def softplus(x: Tensor, beta: Number = 1, threshold: Number = 20) -> Tensor:
    """log(1 + exp(beta x)) / beta, and x where beta x is above the threshold."""
    return torch.where(x * beta > threshold, x, torch.log1p(torch.exp((x * beta).clamp(max=threshold))) / beta)


def lerp(x: Tensor, end: Tensor, weight: Number) -> Tensor:
    """x + weight (end - x); torch's own decomposition makes a tensor without axes, which Core ML cannot fill."""
    return x + (end - x) * weight


def triu(x: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle; Core ML multiplies the rest by 0, which makes NaN of a mask's -inf."""
    return _keep(x, np.triu(np.ones(x.shape[-2:]), diagonal))


def tril(x: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle; see `triu`."""
    return _keep(x, np.tril(np.ones(x.shape[-2:]), diagonal))


def _keep(x: Tensor, mask: np.ndarray) -> Tensor:
    return torch.where(torch.tensor(mask.tolist()) == 1, x, torch.tensor(0, dtype=x.dtype))


def is_volume(x: Tensor, *arguments: Any) -> bool:
    """Core ML's converter makes rank 6 of rank 5."""
    return x.dim() == 5


def group_norm(x: Tensor, groups: int, *arguments: Any) -> Tensor:
    """Of (B, C, T, H, W) as of a map (B, C, T, H * W)."""
    return aten.group_norm(x.flatten(3), groups, *arguments).reshape(x.shape)


def is_circular(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> bool:
    """Core ML has no such padding."""
    return mode == "circular"


def pad_circular(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Each end continued by the other; `pad` in pairs from the last axis on, none negative."""
    for index, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        axis = x.dim() - 1 - index
        size = x.shape[axis]
        x = torch.cat([x.narrow(axis, size - before, before), x, x.narrow(axis, 0, after)], axis)
    return x


def shares_heads(
    query: Tensor, key: Tensor, value: Tensor, *arguments: Any, enable_gqa: bool = False, **options: Any
) -> bool:
    """Core ML's converter drops `enable_gqa`."""
    return enable_gqa


def attention(
    query: Tensor, key: Tensor, value: Tensor, *arguments: Any, enable_gqa: bool = False, **options: Any
) -> Tensor:
    """Grouped-query attention (arXiv 2305.13245): every head of the keys and values written once a query head."""
    key, value = (_repeat_heads(each, query.shape[1]) for each in (key, value))
    return F.scaled_dot_product_attention(query, key, value, *arguments, **options)


def _repeat_heads(x: Tensor, heads: int) -> Tensor:
    """(B, h, N, D) -> (B, heads, N, D)."""
    batch, few, tokens, dim = x.shape
    return x[:, :, None].expand(batch, few, heads // few, tokens, dim).reshape(batch, heads, tokens, dim)


BOTH: Table = {
    aten.add.Tensor: Cure(add, has_scale),
    aten.sub.Tensor: Cure(subtract, has_scale),
    aten.rsub.Tensor: Cure(subtract_from, has_scale),
    aten.rsub.Scalar: Cure(subtract_from, has_scale),
}
COREML: Table = {
    aten.rms_norm.default: Cure(rms_norm),
    aten.reciprocal.default: Cure(reciprocal),
    aten.gelu.default: Cure(gelu, is_approximate),
    aten.atan2.default: Cure(atan2),
    aten.triu.default: Cure(triu),
    aten.tril.default: Cure(tril),
    aten.group_norm.default: Cure(group_norm, is_volume),
    aten.pad.default: Cure(pad_circular, is_circular),
    aten.scaled_dot_product_attention.default: Cure(attention, shares_heads),
    aten.softplus.default: Cure(softplus, has_low_threshold),
    aten.lerp.Scalar: Cure(lerp),
}
