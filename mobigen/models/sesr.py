"""SESR: super-efficient super-resolution by collapsible linear blocks (Bhardwaj et al., arXiv 2103.09404).

It enlarges luma. Weights of the convolutions at x2, biases and slopes not counted: M3 8,912; M5 13,520; M7 18,128;
M11 27,344; XL 105,376; at 640x360 that is 2.05, 3.12, 4.18, 6.30 and 24.3 G multiply-adds.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.models.upscaler import TILE, Upscaler
from mobigen.nn.collapse import ExpandedConv

__all__ = ["SESR", "SIZES"]


class Size(NamedTuple):
    """`depth` middle layers of `width` channels, each trained with `hidden` channels inside."""

    depth: int
    width: int
    hidden: int


SIZES = {
    "M3": Size(3, 16, 256),
    "M5": Size(5, 16, 256),
    "M7": Size(7, 16, 256),
    "M11": Size(11, 16, 64),
    "XL": Size(11, 32, 64),
}


class SESR(Upscaler):
    """5x5, `depth` times 3x3 with a short residual, a long residual, 5x5 to scale^2 channels that share the input."""

    channels = 1

    def __init__(
        self,
        scale: int = 2,
        depth: int = 5,  # middle layers
        width: int = 16,  # channels
        hidden: int = 256,  # channels inside a block while training
        fused: bool = False,
        tile_height: int = TILE,
        tile_width: int = TILE,
    ):
        super().__init__(scale, tile_height, tile_width)
        self.depth = depth

        def conv(channels: int, out_channels: int, kernel: int, residual: bool = False) -> nn.Module:
            if fused:
                return nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2)
            return ExpandedConv(channels, out_channels, kernel, hidden, residual)

        self.head = nn.Sequential(conv(1, width, 5), nn.PReLU(width))
        self.trunk = nn.Sequential(
            *(nn.Sequential(conv(width, width, 3, residual=True), nn.PReLU(width)) for _ in range(depth))
        )
        self.tail = conv(width, scale**2, 5)

    @property
    def reach(self) -> int:
        return 2 + self.depth + 2

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, 1, H, W): luma in [0, 1] -> (B, 1, scale * H, scale * W) in [0, 1]."""
        features = self.head(image - 0.5)
        pixels = self.tail(self.trunk(features) + features) + image  # to every sub-pixel
        return F.pixel_shuffle(pixels.clamp(0, 1), self.scale)
