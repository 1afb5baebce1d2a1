"""XLSR: extremely lightweight quantisation-robust super-resolution (Ayazoglu, arXiv 2105.10288).

The clipped output keeps the last layer's range, and with it an 8-bit graph, exact. At x3: 21,947 parameters, 4.98 G
multiply-adds at 640x360.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.models.upscaler import TILE, Upscaler

__all__ = ["XLSR"]

WIDTH, GROUPS, SIDE = 32, 4, 16  # channels of the trunk, groups in its blocks, channels of the side branch
BLOCKS = 3
START_GAIN, START_BIAS = 0.1, 0.01  # of the first weights, section 3.3


class XLSR(Upscaler):
    """Grouped convolutions, a side branch from the input, and a clipped ReLU before the shuffle."""

    def __init__(self, scale: int = 3, tile_height: int = TILE, tile_width: int = TILE):
        super().__init__(scale, tile_height, tile_width)
        # four convolutions to 8 channels each, whose results are joined, are one to 32
        self.head = nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 1))
        self.trunk = nn.Sequential(*(_grouped_block() for _ in range(BLOCKS)))
        self.side = nn.Conv2d(3, SIDE, 3, padding=1)
        self.tail = nn.Sequential(
            nn.Conv2d(WIDTH + SIDE, WIDTH, 1), nn.ReLU(), nn.Conv2d(WIDTH, 3 * scale**2, 3, padding=1)
        )
        self.apply(_begin)

    @property
    def reach(self) -> int:
        return 1 + BLOCKS + 1

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, 3, H, W): RGB in [0, 1] -> (B, 3, scale * H, scale * W) in [0, 1]."""
        features = torch.cat([self.trunk(self.head(image)), self.side(image)], dim=1)
        return F.pixel_shuffle(self.tail(features).clamp(0, 1), self.scale)


def _grouped_block() -> nn.Module:
    """The paper's Gblock."""
    return nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=GROUPS), nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 1))


def _begin(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d) and module.bias is not None:
        fan_out = module.weight[:, 0].numel() / module.groups
        nn.init.normal_(module.weight, std=(START_GAIN * 2 / fan_out) ** 0.5)
        nn.init.constant_(module.bias, START_BIAS)
