"""A small generator and discriminator for photos, in the spirit of MFAGAN (Cheng et al., arXiv 2107.12679).

That paper replaces ESRGAN's dense connections by an aggregation of features from several depths, to save memory, but
states no layers. Here a block hands on a part of what each of its convolutions found and merges the parts, as in
IMDN (arXiv 1909.11856), and the last layer sees all blocks. Budget at the default size, x4: 0.25 M parameters.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.models.network import Network
from mobigen.models.upscaler import TILE, Upscaler
from mobigen.signature import Signature, TensorSpec

__all__ = ["AggregationGenerator", "PatchDiscriminator"]

SLOPE = 0.2  # of the discriminator's leaky ReLUs


class AggregationBlock(nn.Module):
    """x + merge(parts of three 3x3 convolutions in a row): fields of view of 3, 5 and 7 pixels side by side."""

    def __init__(self, width: int):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.parts = nn.ModuleList(nn.Conv2d(width, width // 2, 1) for _ in range(3))
        self.merge = nn.Conv2d(3 * (width // 2), width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> (B, width, H, W)."""
        found, inner = [], x
        for conv, part in zip(self.convs, self.parts, strict=True):
            inner = F.relu(conv(inner))
            found.append(F.relu(part(inner)))
        return x + self.merge(torch.cat(found, dim=1))


class AggregationGenerator(Upscaler):
    """Blocks in a row, all of whose results are merged; a bilinear skip."""

    def __init__(
        self,
        scale: int = 4,
        width: int = 32,  # channels; even
        blocks: int = 6,
        tile_height: int = TILE,
        tile_width: int = TILE,
    ):
        super().__init__(scale, tile_height, tile_width)
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(AggregationBlock(width) for _ in range(blocks))
        self.merge = nn.Sequential(nn.Conv2d(blocks * width, width, 1), nn.Conv2d(width, width, 3, padding=1))
        self.tail = nn.Conv2d(width, 3 * scale**2, 3, padding=1)

    @property
    def reach(self) -> int:
        return 1 + 3 * len(self.blocks) + 2

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, 3, H, W): RGB in [0, 1] -> (B, 3, scale * H, scale * W) in [0, 1]."""
        first = inner = self.head(image)
        found = []
        for block in self.blocks:
            inner = block(inner)
            found.append(inner)
        pixels = self.tail(self.merge(torch.cat(found, dim=1)) + first)
        skip = F.interpolate(image, scale_factor=float(self.scale), mode="bilinear")
        return (F.pixel_shuffle(pixels, self.scale) + skip).clamp(0, 1)


class PatchDiscriminator(Network):
    """Judges patches, as PatchGAN does (arXiv 1611.07004), without norms, which would mix the pictures of a batch."""

    component: ClassVar[str] = "discriminator"

    def __init__(self, width: int = 32, depth: int = 3, image_size: int = 128):  # channels; halvings; pixels a side
        super().__init__()
        self.image_size, self.depth = image_size, depth
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.LeakyReLU(SLOPE)]
        for _ in range(depth):
            layers += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
            width *= 2
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, 3, H, W): RGB in [0, 1] -> logits (B, 1, H / 2^depth, W / 2^depth), high where it looks real."""
        return self.layers(image * 2 - 1)

    def signature(self) -> Signature:
        size, patches = self.image_size, self.image_size // 2**self.depth
        image = TensorSpec("image", (1, 3, size, size), low=0.0, high=1.0)
        return Signature(self.component, (image,), (TensorSpec("logits", (1, 1, patches, patches)),))

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {"image": torch.rand(1, 3, self.image_size, self.image_size, generator=generator)}
