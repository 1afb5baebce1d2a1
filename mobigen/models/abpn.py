"""ABPN: an anchor-based plain network for 8-bit super-resolution (Du et al., arXiv 2105.09750).

The residual is added in image space, to the input repeated for every sub-pixel, which costs a copy and gains 0.3 dB
once the graph is in int8 (table 3). At x3: 42,539 parameters, 9.76 G multiply-adds at 640x360.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.models.upscaler import TILE, Upscaler

__all__ = ["ABPN"]

WIDTH, DEPTH = 28, 4


class ABPN(Upscaler):
    """3x3 convolutions and nothing else. The paper works on 0..255, which differs by a factor in the biases."""

    def __init__(self, scale: int = 3, tile_height: int = TILE, tile_width: int = TILE):
        super().__init__(scale, tile_height, tile_width)
        pixels = 3 * scale**2
        widths = [3, *[WIDTH] * (DEPTH + 1), pixels]
        layers: list[nn.Module] = []
        for channels, out_channels in pairwise(widths):
            layers += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU()]
        self.trunk = nn.Sequential(*layers, nn.Conv2d(pixels, pixels, 3, padding=1))

    @property
    def reach(self) -> int:
        return DEPTH + 3

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, 3, H, W): RGB in [0, 1] -> (B, 3, scale * H, scale * W) in [0, 1]."""
        anchor = image.repeat_interleave(self.scale**2, dim=1)  # what nearest-neighbour enlargement is shuffled from
        return F.pixel_shuffle((self.trunk(image) + anchor).clamp(0, 1), self.scale)
