"""SqueezeSAM (Varadarajan et al., arXiv 2312.06736): one U-Net pass a prompt, clicks and box painted into the input.

The photo and two maps, of the clicks and of the box, go in together (early fusion); a two-way transformer at the
bottleneck lets mask tokens read the coarsest map; each token's vector times the finest map is a mask. Every prompt
runs the whole network. Negative clicks are not read, as published. Budget at 512x512: 10.2 M parameters, 26 GMACs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.models.network import Network, check_heads
from mobigen.nn.attention import merge_heads, split_heads
from mobigen.nn.prompts import BOX_END, BOX_START, PADDING, POSITIVE
from mobigen.signature import Signature, TensorSpec

__all__ = ["MEAN", "DEVIATION", "SqueezeSAM"]

MASKS = 3
TOKENS = 6  # one for the IoU, four for masks (the first of which is not used), and one of zeros
RADIUS = 5.0  # pixels of a click's disk at 512x512
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's pixels, 0 to 255


class DoubleConv(nn.Sequential):
    """Twice 3x3 convolution, ReLU, batch norm, in this order."""

    def __init__(self, dim: int, out: int):
        layers: list[nn.Module] = []
        for inner in (dim, out):
            layers += [nn.Conv2d(inner, out, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(out)]
        super().__init__(*layers)


class UpBlock(nn.Module):
    """A map, shuffled to twice its size at half its width, joined to the encoder's."""

    def __init__(self, dim: int, skip: int):
        super().__init__()
        self.widen = nn.Sequential(nn.Conv2d(dim, 2 * dim, 1), nn.ReLU(), nn.BatchNorm2d(2 * dim))
        self.shuffle = nn.PixelShuffle(2)
        self.conv = DoubleConv(skip + dim // 2, skip)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, dim, H, W) and (B, skip, 2 H, 2 W) -> (B, skip, 2 H, 2 W)."""
        return self.conv(torch.cat([skip, self.shuffle(self.widen(x))], 1))


class TokenAttention(nn.Module):
    """Multi-head attention with an inner width of its own."""

    def __init__(self, dim: int, inner: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, inner) for _ in range(3))
        self.out = nn.Linear(inner, dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, N, dim) reads (B, M, dim) -> (B, N, dim)."""
        projected = zip((self.query, self.key, self.value), (query, key, value), strict=True)
        query, key, value = (split_heads(layer(x), self.heads) for layer, x in projected)
        return self.out(merge_heads(F.scaled_dot_product_attention(query, key, value)))


class TwoWayBlock(nn.Module):
    """Tokens read themselves and the image, then the image reads the tokens (SAM, arXiv 2304.02643, figure 14)."""

    def __init__(self, dim: int, hidden: int, heads: int, first: bool):
        super().__init__()
        self.first = first
        self.within = TokenAttention(dim, dim, heads)
        self.to_image = TokenAttention(dim, dim // 2, heads)
        self.to_tokens = TokenAttention(dim, dim // 2, heads)
        self.perceptron = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))

    def forward(self, tokens: Tensor, image: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, dim), image (B, M, dim), and the tokens' own codes (B, N, dim) -> tokens, image."""
        if self.first:  # the tokens are their codes
            tokens = self.norms[0](self.within(tokens, tokens, tokens))
        else:
            query = tokens + codes
            tokens = self.norms[0](tokens + self.within(query, query, tokens))
        tokens = self.norms[1](tokens + self.to_image(tokens + codes, image, image))
        tokens = self.norms[2](tokens + self.perceptron(tokens))
        image = self.norms[3](image + self.to_tokens(image, tokens + codes, tokens))
        return tokens, image


class Bottleneck(nn.Module):
    """The two-way transformer: what the tokens make of the coarsest map, and the map that they changed."""

    def __init__(self, dim: int, heads: int, depth: int):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(1, TOKENS - 1, dim) * 0.02)
        self.blocks = nn.ModuleList(TwoWayBlock(dim, dim, heads, index == 0) for index in range(depth))
        self.last = TokenAttention(dim, dim // 2, heads)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, dim, h, w) -> tokens (B, TOKENS, dim), and the map."""
        image = x.flatten(2).transpose(1, 2)
        codes = F.pad(self.codes, (0, 0, 0, 1)).expand(len(x), -1, -1)
        tokens = codes
        for block in self.blocks:
            tokens, image = block(tokens, image, codes)
        tokens = self.norm(tokens + self.last(tokens + codes, image, image))
        return tokens, image.transpose(1, 2).reshape(x.shape)


def perceptron(dim: int, out: int) -> nn.Sequential:
    """Three layers with ReLU between them."""
    return nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, out))


class SqueezeSAM(Network):
    """Photo and prompt -> three masks and the IoU expected of each.

    Raises:
        ConfigError: the last width is not a multiple of heads.
    """

    component: ClassVar[str] = "squeezesam"
    mean: Tensor
    deviation: Tensor
    centres: Tensor

    def __init__(
        self,
        image_size: int = 512,  # pixels a side
        points: int = 32,
        widths: Sequence[int] = (64, 128, 128, 128, 128, 164, 256, 256),  # at 1/2, 1/4, ...
        heads: int = 8,
        depth: int = 2,  # of the transformer
    ):
        super().__init__()
        check_heads(widths[-1], heads)
        self.image_size, self.points = image_size, points
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION), persistent=False)
        self.register_buffer("centres", (torch.arange(image_size) + 0.5), persistent=False)
        self.patch = nn.Sequential(nn.Conv2d(5, widths[0], 2, 2), nn.GroupNorm(1, widths[0]))
        self.entry = DoubleConv(widths[0], widths[0])
        self.downs = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), DoubleConv(wide, other)) for wide, other in pairwise(widths)
        )
        self.bottleneck = Bottleneck(widths[-1], heads, depth)
        self.ups = nn.ModuleList(UpBlock(deep, skip) for skip, deep in reversed(list(pairwise(widths))))
        self.mask_heads = nn.ModuleList(perceptron(widths[-1], widths[0]) for _ in range(TOKENS - 2))
        self.quality = perceptron(widths[-1], TOKENS - 2)

    def forward(self, image: Tensor, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """A prompt.

        Args:
            image: (B, S, S, 3): RGB, 0 to 255, bytes or floats.
            points: (B, P, 2), x and y in pixels.
            labels: (B, P) of int32: 1 on the object, 2 and 3 a box's corners, -1 padding; 0 is not read.

        Returns:
            masks (B, 3, S/2, S/2) as logits, and the IoU expected of each, (B, 3).
        """
        pixels = ((image.to(self.mean.dtype) - self.mean) / self.deviation).permute(0, 3, 1, 2)
        x = self.entry(self.patch(torch.cat([pixels, self._painted(points, labels)], 1)))
        skips = [x]
        for down in self.downs:
            skips.append(down(skips[-1]))
        tokens, x = self.bottleneck(skips.pop())
        for up, skip in zip(self.ups, reversed(skips), strict=True):
            x = up(x, skip)
        vectors = torch.stack([head(tokens[:, index + 1]) for index, head in enumerate(self.mask_heads)], 1)[:, 1:]
        batch, _, height, width = x.shape
        masks = torch.matmul(vectors, x.flatten(2)).reshape(batch, MASKS, height, width)
        return masks, self.quality(tokens[:, 0])[:, 1:]

    def _painted(self, points: Tensor, labels: Tensor) -> Tensor:
        """The box (all ones without one) and disks around clicks: (B, 2, S, S)."""
        places = points + 0.5
        start, end = (
            (places * (labels == label).to(places.dtype)[:, :, None]).sum(1)[:, :, None]
            for label in (BOX_START, BOX_END)
        )
        within = ((self.centres >= start) & (self.centres < end)).to(places.dtype)  # (B, 2, S): columns and rows
        boxed = (labels == BOX_START).to(places.dtype).sum(1)[:, None, None].clamp(max=1.0)
        box = boxed * torch.matmul(within[:, 1:].transpose(1, 2), within[:, :1]) + 1 - boxed
        return torch.stack([box, self._disks(places, labels)], 1)

    def _disks(self, places: Tensor, labels: Tensor) -> Tensor:
        """1 within RADIUS of a click on the object; distances in radii, whose squares fit into float16."""
        radius = RADIUS * self.image_size / 512
        across = ((self.centres - places[:, :, :1]) / radius).clamp(-2.0, 2.0).square()[:, :, None, :]
        along = ((self.centres - places[:, :, 1:]) / radius).clamp(-2.0, 2.0).square()[:, :, :, None]
        clicked = (labels == POSITIVE).to(places.dtype)[:, :, None, None]
        near = ((across + along) <= 1.0).to(places.dtype) * clicked  # (B, P, S, S)
        return near.amax(1)

    def signature(self) -> Signature:
        size, half = self.image_size, self.image_size // 2
        inputs = (
            TensorSpec("image", (1, size, size, 3), "uint8", 0, 255),
            TensorSpec("points", (1, self.points, 2)),
            TensorSpec("labels", (1, self.points), "int32", PADDING, BOX_END),
        )
        outputs = (TensorSpec("masks", (1, MASKS, half, half)), TensorSpec("iou", (1, MASKS)))
        return Signature(self.component, inputs, outputs)

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        size = self.image_size
        return {
            "image": torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8, generator=generator),
            "points": torch.rand(1, self.points, 2, generator=generator) * (size - 1),
            "labels": torch.randint(PADDING, 2, (1, self.points), dtype=torch.int32, generator=generator),
        }
