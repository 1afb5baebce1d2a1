"""Our own super-resolution network: plain 3x3 convolutions with ReLU, which is what phones and XNNPACK run fastest.

Once fused, nothing is left but convolutions whose ReLUs are fused into them, one concatenation and one shuffle. Slopes
and skips over the trunk each cost a pass over memory (PReLU takes a third of SESR's time on a processor), so there are
none; training finds its way by identities inside the kernels instead. The last convolution sees the input beside the
features, and begins as bilinear enlargement: a residual in image space, learnable, for the price of a copy. On luma
alone all features serve what eyes and tables see, and the pipeline enlarges the colours by bicubic.
Widths are multiples of 16, the lanes of a vector; another width costs as much as the next multiple.
"""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.errors import ConfigError
from mobigen.models.upscaler import TILE, Upscaler
from mobigen.nn.collapse import BranchedConv

__all__ = ["PlainUpscaler", "SubpixelConv", "bilinear_kernel"]

LANES = 8  # float32 kernels of a browser's XNNPACK fall off their fast path where channels are no multiple of it


class PlainUpscaler(Upscaler):
    """A chain of 3x3 convolutions on RGB, or on luma alone, trained with branches and deployed without."""

    def __init__(
        self,
        scale: int = 2,
        width: int = 16,  # channels
        depth: int = 10,  # convolutions between the first and the last
        channels: int = 3,  # of the picture: RGB, or 1 for luma
        hidden: int = 64,  # channels inside a convolution while training
        fused: bool = False,
        tile_height: int = TILE,
        tile_width: int = TILE,
    ):
        super().__init__(scale, tile_height, tile_width)
        if channels not in (1, 3):
            raise ConfigError(f"channels {channels} is not offered; accepted: 1 for luma, 3 for RGB")
        self.depth, self.channels = depth, channels
        self.pixels = channels * scale**2  # channels that are shuffled

        def conv(before: int, after: int) -> nn.Module:
            if fused:
                return nn.Conv2d(before, after + -after % LANES, 3, padding=1)
            return BranchedConv(before, after, hidden)

        layers = [conv(channels, width), *(conv(width, width) for _ in range(depth))]
        self.trunk = nn.Sequential(*(nn.Sequential(layer, nn.ReLU()) for layer in layers))
        narrow = fused and self.pixels < LANES  # luma by 2
        self.tail = SubpixelConv(width + channels, scale) if narrow else conv(width + channels, self.pixels)
        if isinstance(self.tail, BranchedConv):
            self._begin(self.tail, width)

    def _begin(self, tail: BranchedConv, width: int) -> None:
        """Bilinear enlargement of the input, and nothing of the features."""
        with torch.no_grad():
            for parameter in (*tail.plain.parameters(), tail.narrow.weight, tail.point.weight, tail.passed):
                nn.init.zeros_(parameter)
            tail.plain.weight[:, width:] = bilinear_kernel(self.scale, self.channels)

    @property
    def reach(self) -> int:
        return self.depth + 2

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, channels, H, W) in [0, 1] -> (B, channels, scale * H, scale * W) in [0, 1]."""
        pixels = self.tail(torch.cat([self.trunk(image), image], dim=1)).clamp(0, 1)  # fused, and free in int8
        if isinstance(self.tail, SubpixelConv):
            return pixels
        return F.pixel_shuffle(pixels[:, : self.pixels], self.scale)


class SubpixelConv(nn.Conv2d):
    """A 3x3 convolution to the sub-pixels of luma and the shuffle behind it, for 2x2 pixels at once.

    A processor's vector holds 8 or 16 channels, so that four cost as much as sixteen. Sixteen are what 2x2 pixels have:
    they come of a 4x4 kernel of stride 2 that holds the 3x3 one at each pixel's place, of which converters make a
    constant. Four pixels then read 16 taps once, not 9 taps four times.
    """

    def __init__(self, in_channels: int, scale: int):
        super().__init__(in_channels, scale**2, 3, padding=1)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, 1, scale * H, scale * W)."""
        height, width = x.shape[2:]
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2))
        blocks = F.conv2d(x, *self._of_four_pixels(), stride=2, padding=1)
        return F.pixel_shuffle(blocks, 2 * self.scale)[..., : self.scale * height, : self.scale * width]

    def _of_four_pixels(self) -> tuple[Tensor, Tensor]:
        """Weight (4 scale^2, in, 4, 4) and bias: the rows of a block's sub-pixels, and in each its columns."""
        assert self.bias is not None
        weights, biases = [], []
        for (pixel_y, row), (pixel_x, column) in product(product(range(2), range(self.scale)), repeat=2):
            channel = slice(self.scale * row + column, self.scale * row + column + 1)
            weights.append(F.pad(self.weight[channel], (pixel_x, 1 - pixel_x, pixel_y, 1 - pixel_y)))
            biases.append(self.bias[channel])
        return torch.cat(weights), torch.cat(biases)


def bilinear_kernel(scale: int, channels: int) -> Tensor:
    """The 3x3 weight from pixels to the sub-pixels of bilinear enlargement, (channels scale^2, channels, 3, 3).

    It is read off: column by column, from the enlargement of a single lit pixel in the middle of 5x5.
    """
    lit = torch.zeros(channels, channels, 5, 5)
    lit[range(channels), range(channels), 2, 2] = 1
    large = F.interpolate(lit, scale_factor=float(scale), mode="bilinear")
    around = F.pixel_unshuffle(large, scale)[:, :, 1:4, 1:4]  # what the lit one gives to its neighbours
    return around.transpose(0, 1).flip(2, 3)
