"""SYENet for super-resolution: a simple yet effective network of two product units (Gou et al., arXiv 2308.08137).

Once folded it has 8,035 parameters at x2. The published code multiplies pixels by 255 on the way in; here they stay
in [-0.5, 0.5], since two products in a row would carry 255^4 past what float16 holds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.models.upscaler import TILE, Upscaler
from mobigen.nn.collapse import NormedBranches

__all__ = ["SYENet"]

MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K, RGB
PRODUCT_GAIN = 0.1
SLOPE = 0.1  # of the leaky ReLUs


class SYENet(Upscaler):
    """Features at half the resolution, then a trunk of 3 * scale^2 channels, then a shuffle; a bilinear skip."""

    mean: Tensor

    def __init__(self, scale: int = 2, fused: bool = False, tile_height: int = TILE, tile_width: int = TILE):
        super().__init__(scale, tile_height, tile_width)
        width = 3 * scale**2

        def conv(channels: int, out_channels: int, kernel: int, gain: float = 1.0) -> nn.Module:
            if fused:
                return nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2)
            return NormedBranches(channels, out_channels, kernel, gain)

        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.base = nn.Sequential(conv(3, 8, 3), nn.LeakyReLU(SLOPE))
        self.context = nn.Sequential(
            nn.MaxPool2d(3, stride=2, padding=1), conv(8, 32, 3), nn.LeakyReLU(SLOPE), nn.PixelShuffle(2)
        )
        self.join = conv(16, 3, 3)
        self.head = Product(
            nn.Sequential(conv(3, width, 5), nn.PReLU(width), conv(width, width, 3)),
            conv(3, width, 5, PRODUCT_GAIN),
            width,
        )
        self.body = Product(conv(width, width, 3), conv(width, width, 1, PRODUCT_GAIN), width)
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), conv(width, width, 1), nn.PReLU(width), conv(width, width, 1), nn.Sigmoid()
        )
        self.tail = nn.Sequential(nn.PixelShuffle(scale), conv(3, 3, 3))

    @property
    def multiple(self) -> int:
        return 2

    @property
    def reach(self) -> None:
        """The attention looks at all of the picture."""

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, 3, H, W): RGB in [0, 1], H and W even -> (B, 3, scale * H, scale * W) in [0, 1]."""
        centred = image - self.mean
        base = self.base(centred)
        x = self.body(self.head(self.join(torch.cat([self.context(base), base], dim=1))))
        skip = F.interpolate(centred, scale_factor=float(self.scale), mode="bilinear")
        return (self.tail(x * self.attention(x)) + skip + self.mean).clamp(0, 1)


class Product(nn.Module):
    """The quadratic connection unit, equation 4: first(x) * second(x) + bias, with PRODUCT_GAIN inside `second`."""

    def __init__(self, first: nn.Module, second: nn.Module, width: int):
        super().__init__()
        self.first, self.second = first, second
        self.bias = nn.Parameter(torch.randn(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width, H, W)."""
        return self.first(x) * self.second(x) + self.bias
