"""Convolutions: a depthwise 3x3 that trains fast, the gated feed-forward built on it, and residual blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.nn.norm import ChannelRMSNorm

__all__ = ["DepthwiseConv3x3", "GatedDepthwiseFeedForward", "PlainResidualBlock", "ResidualBlock"]


class DepthwiseConv3x3(nn.Module):
    """Depthwise 3x3 convolution on channels-last maps, zero padding.

    While training, and always on a GPU, it runs as nine shifted multiply-adds, which a compiler fuses into one pass
    over memory where cuDNN's depthwise kernels are slow; otherwise as one convolution, which every phone runtime has.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, 1, 3, 3).uniform_(-1 / 3, 1 / 3))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim) -> (B, H, W, dim)."""
        return self._shifted(x) if self.training or x.is_cuda else self._convolved(x)

    def _shifted(self, x: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        padded = F.pad(x, (0, 0, 1, 1, 1, 1))
        weight = self.weight.to(x.dtype)
        total = self.bias.to(x.dtype)
        for row in range(3):
            for column in range(3):
                total = total + padded[:, row : row + height, column : column + width] * weight[:, 0, row, column]
        return total

    def _convolved(self, x: Tensor) -> Tensor:
        mapped = F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=1, groups=len(self.bias))
        return mapped.permute(0, 2, 3, 1)


class GatedDepthwiseFeedForward(nn.Module):
    """SANA's Mix-FFN (arXiv 2410.10629): 1x1, SiLU, depthwise 3x3, a gate a * SiLU(g), 1x1."""

    def __init__(self, dim: int, ratio: float):
        super().__init__()
        hidden = int(dim * ratio)
        self.expand = nn.Linear(dim, 2 * hidden)
        self.depthwise = DepthwiseConv3x3(2 * hidden)
        self.reduce = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Tokens (B, H * W, dim) of a map of `size` (H, W) -> (B, H * W, dim)."""
        batch, tokens, _ = x.shape
        mixed = self.depthwise(F.silu(self.expand(x)).reshape(batch, *size, -1))
        value, gate = mixed.reshape(batch, tokens, -1).chunk(2, dim=-1)
        return self.reduce(value * F.silu(gate))


class ResidualBlock(nn.Module):
    """x + conv(SiLU(norm(conv(SiLU(norm(x)))))), the block of Turbo-VAED (arXiv 2508.09136) in two dimensions."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = ChannelRMSNorm()
        self.first = nn.Conv2d(dim, dim, 3, padding=1)
        self.second = nn.Conv2d(dim, dim, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H, W) -> (B, dim, H, W)."""
        return x + self.second(F.silu(self.norm(self.first(F.silu(self.norm(x))))))


class PlainResidualBlock(nn.Module):
    """relu(x + conv(relu(conv(x)))): no norm, no smooth activation, so it runs fast and quantises well on a phone."""

    def __init__(self, dim: int):
        super().__init__()
        self.first = nn.Conv2d(dim, dim, 3, padding=1)
        self.second = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H, W) -> (B, dim, H, W)."""
        return F.relu(x + self.second(F.relu(self.first(x))))
