"""Networks to compare the upscalers' speed with, in published forms but with random weights: they show time only."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.models.upscaler import TILE, Upscaler

__all__ = ["FSRCNN", "ResidualUpscaler"]


class FSRCNN(Upscaler):
    """FSRCNN(56, 12, 4) (arXiv 1608.00367, section 3.2) on luma: narrow in the middle, a transposed 9x9 at the end."""

    channels = 1

    def __init__(self, scale: int = 2, tile_height: int = TILE, tile_width: int = TILE):
        super().__init__(scale, tile_height, tile_width)
        layers = [(1, 56, 5), (56, 12, 1), *[(12, 12, 3)] * 4, (12, 56, 1)]
        self.trunk = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(one, two, side, padding=side // 2), nn.PReLU(two)) for one, two, side in layers)
        )
        self.tail = nn.ConvTranspose2d(56, 1, 9, stride=scale, padding=(9 - scale) // 2)

    @property
    def reach(self) -> int:
        return 2 + 4 + 4

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, 1, H, W): luma in [0, 1] -> (B, 1, scale * H, scale * W) in [0, 1]."""
        height, width = (self.scale * size for size in image.shape[2:])
        return self.tail(self.trunk(image))[..., :height, :width].clamp(0, 1)  # one pixel more where 9 - scale is odd


class ResidualUpscaler(Upscaler):
    """16 residual blocks of 64 channels, as EDSR's baseline (arXiv 1707.02921), with the cheapest end there is."""

    WIDTH, BLOCKS = 64, 16

    def __init__(self, scale: int = 4, tile_height: int = TILE, tile_width: int = TILE):
        super().__init__(scale, tile_height, tile_width)

        def conv(channels: int, out_channels: int) -> nn.Module:
            return nn.Conv2d(channels, out_channels, 3, padding=1)

        width = self.WIDTH
        self.head = conv(3, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width)) for _ in range(self.BLOCKS)
        )
        self.merge, self.tail = conv(width, width), conv(width, 3 * scale**2)

    @property
    def reach(self) -> int:
        return 2 * self.BLOCKS + 3

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, 3, H, W): RGB in [0, 1] -> (B, 3, scale * H, scale * W) in [0, 1]."""
        first = inner = self.head(image)
        for block in self.blocks:
            inner = inner + block(inner)
        return F.pixel_shuffle(self.tail(self.merge(inner) + first), self.scale).clamp(0, 1)
