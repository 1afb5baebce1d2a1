"""Our own super-resolution network: plain 3x3 convolutions with ReLU, which is what phones and XNNPACK run fastest.

Once fused, nothing is left but convolutions whose ReLUs are fused into them, one concatenation and one shuffle. Slopes
and skips over the trunk each cost a pass over memory (PReLU takes a third of SESR's time on a processor), so there are
none; training finds its way by identities inside the kernels instead. The last convolution sees the input beside the
features, and begins as bilinear enlargement: a residual in image space, learnable, for the price of a copy. With
`fold` 2, squares of 2x2 pixels become channels first: a quarter of the positions, twice the field of view, and for the
same multiply-adds four times the parameters in four fifths of the time: XNNPACK's kernels are full at 32 channels.
What it costs is features: half as many a pixel. Photos come out alike, hard edges do not: a butterfly 0.6 dB worse.
Widths are multiples of 16, the lanes of a vector; another width costs as much as the next multiple.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.errors import ConfigError
from mobigen.models.upscaler import TILE, Upscaler
from mobigen.nn.collapse import BranchedConv

__all__ = ["PlainUpscaler", "bilinear_kernel"]

LANES = 8  # float32 kernels of a browser's XNNPACK fall off their fast path where channels are no multiple of it


class PlainUpscaler(Upscaler):
    """A chain of 3x3 convolutions on RGB, or on luma alone, trained with branches and deployed without."""

    def __init__(
        self,
        scale: int = 2,
        width: int = 16,  # channels
        depth: int = 10,  # convolutions between the first and the last
        fold: int = 1,  # pixels a side that become channels first
        channels: int = 3,  # of the picture: RGB, or 1 for luma
        hidden: int = 64,  # channels inside a convolution while training
        fused: bool = False,
        tile_height: int = TILE,
        tile_width: int = TILE,
    ):
        super().__init__(scale, tile_height, tile_width)
        for name, value, accepted in (("fold", fold, (1, 2)), ("channels", channels, (1, 3))):
            if value not in accepted:
                raise ConfigError(f"{name} {value} is not offered; accepted: {', '.join(map(str, accepted))}")
        self.fold, self.depth, self.channels = fold, depth, channels
        self.pixels = channels * (scale * fold) ** 2  # channels that are shuffled
        folded = channels * fold**2

        def conv(before: int, after: int) -> nn.Module:
            if fused:
                return nn.Conv2d(before, after + -after % LANES, 3, padding=1)
            return BranchedConv(before, after, hidden)

        layers = [conv(folded, width), *(conv(width, width) for _ in range(depth))]
        self.trunk = nn.Sequential(*(nn.Sequential(layer, nn.ReLU()) for layer in layers))
        self.tail = conv(width + folded, self.pixels)
        if isinstance(self.tail, BranchedConv):
            self._begin(self.tail, width)

    def _begin(self, tail: BranchedConv, width: int) -> None:
        """Bilinear enlargement of the input, and nothing of the features."""
        with torch.no_grad():
            for parameter in (*tail.plain.parameters(), tail.narrow.weight, tail.point.weight, tail.passed):
                nn.init.zeros_(parameter)
            tail.plain.weight[:, width:] = bilinear_kernel(self.scale, self.fold, self.channels)

    @property
    def multiple(self) -> int:
        return self.fold

    @property
    def reach(self) -> int:
        return (self.depth + 3) * self.fold - 1

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, channels, H, W) in [0, 1], multiples of `fold` -> the same, scale * H and scale * W."""
        folded = F.pixel_unshuffle(image, self.fold) if self.fold > 1 else image
        pixels = self.tail(torch.cat([self.trunk(folded), folded], dim=1)).clamp(0, 1)  # fused, and free in int8
        return F.pixel_shuffle(pixels[:, : self.pixels], self.scale * self.fold)


def bilinear_kernel(scale: int, fold: int, channels: int = 3) -> Tensor:
    """The 3x3 weight from folded pixels to the sub-pixels of bilinear enlargement.

    Its shape is (channels (scale fold)^2, channels fold^2, 3, 3). It is read off: column by column, from the
    enlargement of a single lit pixel in the middle of 5x5 folded ones.
    """
    folded = channels * fold**2
    lit = torch.zeros(folded, folded, 5, 5)
    lit[range(folded), range(folded), 2, 2] = 1
    picture = F.pixel_shuffle(lit, fold)
    large = F.interpolate(picture, scale_factor=float(scale), mode="bilinear")
    around = F.pixel_unshuffle(large, scale * fold)[:, :, 1:4, 1:4]  # what the lit one gives to its neighbours
    return around.transpose(0, 1).flip(2, 3)
