"""Normalisation written in plain operations, so that every converter translates it exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ChannelRMSNorm", "RMSNorm", "modulate"]


def widened(x: Tensor) -> Tensor:
    """x in float32, or in float64 if it is that already: half precision squares badly."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis (Zhang and Sennrich 2019, eq. 4).

    Written out because Core ML's own conversion of `nn.RMSNorm` scales epsilon with the input and fails on zeros.
    """

    def __init__(self, dim: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(..., dim) -> (..., dim); the mean square is taken in float32 at least, the result has the type of `x`."""
        wide = widened(x)
        normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (normed * self.weight.to(wide.dtype)).to(x.dtype)


class ChannelRMSNorm(nn.Module):
    """RMS norm over the channels of an image, without learned scale (Turbo-VAED, arXiv 2508.09136)."""

    def __init__(self, eps: float = 1e-6):
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        wide = widened(x)
        return (wide * torch.rsqrt(wide.square().mean(1, keepdim=True) + self.eps)).to(x.dtype)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Adaptive shift and scale (Peebles and Xie 2023, DiT); `x` (B, N, C), `shift` and `scale` (B, 1, C)."""
    return x * (1 + scale) + shift
