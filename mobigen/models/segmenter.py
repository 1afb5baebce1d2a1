"""The cutout model: an image encoder that runs once a photo and a click decoder that runs once a click.

The encoder is MobileNetV2 (Sandler et al., arXiv 1801.04381), whose ImageNet weights fit it, under a pyramid of
universal bottlenecks; its saliency head gives the first mask before any click. The decoder sees clicks, box and the
previous mask as maps, and how much every place resembles the places clicked on, at 1/16 first and finer on the way up.
Edges come from features at 1/2, which either network adds to its mask last.
Budget at 512x512: encoder 2.2 M parameters, 1.8 GMACs; decoder 0.23 M parameters, 0.25 GMACs, for phone CPUs.
`fuse()` gives the deploy form of either: one convolution where training has several branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.errors import ConfigError
from mobigen.models.network import Network
from mobigen.nn.mobile import RepConv, UniversalBottleneck, collapsed_state
from mobigen.nn.norm import ChannelRMSNorm
from mobigen.nn.prompts import BOX_END, NEGATIVE, PADDING, POSITIVE, PromptMaps
from mobigen.signature import Signature, TensorSpec

__all__ = ["ClickDecoder", "FoldingNetwork", "ImageEncoder", "Trunk"]

STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of MobileNetV2's stages, after a stem of stride 2
TAPPED = (1, 2, 4, 6)  # stages whose maps the pyramid takes: 1/4, 1/8, 1/16, 1/32
MASKS = 3
NEAR = 4.0  # cells of 1/16, the deviation of what counts as near a click
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # of ImageNet's pixels, 0 to 255


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _mean(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C)."""
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


def _undecided(layer: nn.ConvTranspose2d) -> nn.ConvTranspose2d:
    """Logits near zero at first, so that training does not begin with sure mistakes."""
    nn.init.normal_(layer.weight, std=0.01)
    return layer


def _silent(layer: nn.ConvTranspose2d | nn.Conv2d) -> nn.ConvTranspose2d | nn.Conv2d:
    """Adds nothing at first: what has been learnt without the layer stays as it was."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class FoldingNetwork(Network):
    """A network whose `fused=True` form has one convolution where this one has branches and batch norms."""

    fused: bool
    _hub_mixin_config: Any

    def fuse(self) -> Network:
        """The deploy form, equal in evaluation mode; a deploy form is its own."""
        if self.fused:
            return self
        deployed = type(self)(**{**self._hub_mixin_config, "fused": True})
        deployed.load_state_dict(collapsed_state(self))
        return deployed.eval()


class Trunk(nn.Module):
    """MobileNetV2 without its last convolution; no branches, so that pretrained convolutions load one to one."""

    def __init__(self, stem: int, widths: Sequence[int], depths: Sequence[int], expansion: int, fused: bool):
        super().__init__()
        options: dict[str, Any] = {"branches": False, "fused": fused}
        self.stem = RepConv(3, stem, 3, 2, **options)
        self.stages = nn.ModuleList()
        dim = stem
        for stage, (width, depth, stride) in enumerate(zip(widths, depths, STRIDES, strict=True)):
            blocks = []
            for index in range(depth):
                ratio = expansion if stage else 1  # the first block has nothing to expand
                step = 1 if index else stride
                blocks.append(UniversalBottleneck(dim, width, 0, 3, ratio, step, **options))
                dim = width
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, S, S) -> the first stage's map, at 1/2, and those of TAPPED."""
        x, maps = self.stem(x), []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index == 0 or index in TAPPED:
                maps.append(x)
        return maps


class ImageEncoder(FoldingNetwork):
    """Photo -> maps at 1/16, 1/8 and 1/4 for the click decoder, and the salient object as logits at 1/2.

    Raises:
        ConfigError: not seven widths and depths, or a size that is no multiple of 32.
    """

    component: ClassVar[str] = "image_encoder"
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        image_size: int = 512,  # pixels a side; photos keep their proportions and are padded right or below
        stem: int = 32,
        widths: Sequence[int] = (16, 24, 32, 64, 96, 160, 320),  # of the trunk's stages
        depths: Sequence[int] = (1, 2, 3, 4, 3, 3, 1),
        expansion: int = 6,
        dims: Sequence[int] = (128, 32, 16),  # of the maps at 1/16, 1/8 and 1/4
        edges: int = 16,  # more of the last, from features at 1/2
        fused: bool = False,
    ):
        super().__init__()
        if len(widths) != len(STRIDES) or len(depths) != len(STRIDES):
            raise ConfigError(f"the trunk has {len(STRIDES)} stages; got {len(widths)} widths, {len(depths)} depths")
        if image_size % 32:
            raise ConfigError(f"image_size {image_size} is not a multiple of 32; choose one that is")
        self.image_size, self.edges, self.fused = image_size, edges, fused
        self.dims = (*dims[:-1], dims[-1] + edges)
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION), persistent=False)
        self.trunk = Trunk(stem, widths, depths, expansion, fused)
        taps = [widths[index] for index in reversed(TAPPED)]  # deepest first
        dim = dims[0]
        self.deepest = RepConv(taps[0], dim, fused=fused)
        self.surroundings = nn.Conv2d(dim, dim, 1)
        self.context = nn.Sequential(*(UniversalBottleneck(dim, dim, 5, 5, fused=fused) for _ in range(2)))
        self.laterals = nn.ModuleList(
            RepConv(tap, each, active=False, fused=fused) for tap, each in zip(taps[1:], dims, strict=True)
        )
        self.narrow = nn.ModuleList(
            RepConv(wide, each, active=False, fused=fused) for wide, each in zip((dim, *dims), dims, strict=False)
        )
        self.refine = nn.ModuleList(UniversalBottleneck(each, each, 3, 3, fused=fused) for each in dims)
        self.saliency = nn.Sequential(
            RepConv(dims[-1], 16, 3, fused=fused), _undecided(nn.ConvTranspose2d(16, 1, 2, 2))
        )
        self.edge = RepConv(widths[0], edges, 3, 2, fused=fused)
        self.finer = nn.Sequential(
            UniversalBottleneck(self.dims[-1], edges, 3, 3, fused=fused), _silent(nn.ConvTranspose2d(edges, 1, 2, 2))
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`image` (B, S, S, 3): RGB, 0 to 255, bytes or floats.

        -> embedding (B, S/16, S/16, dims[0]), middle (B, S/8, S/8, dims[1]), detail (B, S/4, S/4, dims[2] + edges) and
        saliency logits (B, 1, S/2, S/2).
        """
        pixels = (image.to(self.mean.dtype) - self.mean) / self.deviation
        half, *finer, x = self.trunk(pixels.permute(0, 3, 1, 2))
        x = self.deepest(x)
        x = self.context(x + self.surroundings(F.adaptive_avg_pool2d(x, 1)))
        maps = []
        for tap, lateral, narrow, refine in zip(reversed(finer), self.laterals, self.narrow, self.refine, strict=True):
            x = refine(_up(narrow(x)) + lateral(tap))
            maps.append(x)
        saliency = self.saliency(x)
        maps[-1] = torch.cat([x, self.edge(half)], 1)
        embedding, middle, detail = (each.permute(0, 2, 3, 1) for each in maps)
        return embedding, middle, detail, saliency + self.finer(maps[-1])

    def signature(self) -> Signature:
        size = self.image_size
        image = TensorSpec("image", (1, size, size, 3), "uint8", 0, 255)
        saliency = TensorSpec("saliency", (1, 1, size // 2, size // 2))
        return Signature(self.component, (image,), (*feature_specs(size, self.dims), saliency))

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        size = self.image_size
        return {"image": torch.randint(0, 256, (1, size, size, 3), dtype=torch.uint8, generator=generator)}


def feature_specs(image_size: int, dims: Sequence[int]) -> tuple[TensorSpec, ...]:
    """What the encoder hands to the decoder: channels last, as LiteRT computes, or every click would transpose them."""
    names = (("embedding", 16), ("middle", 8), ("detail", 4))
    return tuple(
        TensorSpec(name, (1, image_size // stride, image_size // stride, dim))
        for (name, stride), dim in zip(names, dims, strict=True)
    )


def _greatest(x: Tensor) -> Tensor:
    """(B, P, N) -> (B, 1, N), by halves: on a phone's CPU many times faster than a reduction over that axis."""
    while x.shape[1] > 1:
        half = (x.shape[1] + 1) // 2
        x = torch.maximum(x[:, :half], x[:, -half:])
    return x


class ClickLikeness(nn.Module):
    """How much each place is like the click that it is most like: of those on the object, and of those beside it.

    Nearest neighbours among the clicks, as in Chen et al. (arXiv 1804.03131): a mean of several is like none of them.
    """

    centres: Tensor

    def __init__(self, image_size: int, dim: int, key_dim: int):
        """`image_size`: pixels a side that points are given in; `dim`: of the features, at 1/16."""
        super().__init__()
        self.key, self.norm = nn.Conv2d(dim, key_dim, 1), ChannelRMSNorm(1e-5)
        self.register_buffer("centres", torch.arange(image_size // 16) + 0.5, persistent=False)

    def forward(self, features: Tensor, points: Tensor, labels: Tensor) -> Tensor:
        """`features` (B, dim, h, w), `points` (B, P, 2), `labels` (B, P) -> (B, 4, h, w).

        1 + cosine, from 0 to 2, for clicks on the object and beside it; then the same near each click; 0 without any.
        """
        batch, _, height, width = features.shape
        keys = self.norm(self.key(features)).flatten(2)  # (B, key_dim, h * w), each of mean square 1
        places = (points + 0.5) / 16
        here = self._bumps(places, 1.0)  # (B, P, h * w)
        clicked = torch.matmul(here / (here.sum(2, keepdim=True) + 1e-2), keys.transpose(1, 2))  # (B, P, key_dim)
        like = 1 + (torch.matmul(clicked, keys) / keys.shape[1])
        near = like * self._bumps(places, NEAR)
        kinds = [(labels == label).to(points.dtype)[:, :, None] for label in (POSITIVE, NEGATIVE)]
        found = [_greatest(each * kind) for each in (like, near) for kind in kinds]
        return torch.cat(found, 1).reshape(batch, 4, height, width)

    def _bumps(self, places: Tensor, deviation: float) -> Tensor:
        """Gaussians (B, P, h * w) about `places` (B, P, 2), in cells; cut where squares leave float16."""
        distance = ((self.centres - places[..., None]) / deviation).clamp(-16.0, 16.0)  # (B, P, 2, cells)
        bumps = torch.exp(-0.5 * distance * distance)
        return (bumps[:, :, 1, :, None] * bumps[:, :, 0, None, :]).flatten(2)


class ClickDecoder(FoldingNetwork):
    """Features and prompts -> three masks, each with the IoU that it expects to have with the object meant."""

    component: ClassVar[str] = "click_decoder"

    def __init__(
        self,
        image_size: int = 512,
        points: int = 32,  # clicks, points of strokes and box corners, padded
        dims: Sequence[int] = (128, 32, 16),  # as of the encoder
        widths: Sequence[int] = (64, 96),  # of the decoder's own maps at 1/16 and 1/32
        depth: int = 2,  # blocks at 1/32; and at 1/16 before them
        key_dim: int = 32,
        edges: int = 16,  # as of the encoder
        fused: bool = False,
    ):
        super().__init__()
        self.image_size, self.points, self.edges, self.fused = image_size, points, edges, fused
        self.dims = (*dims[:-1], dims[-1] + edges)
        wide, low = widths
        *_, middle, detail = dims
        self.maps = PromptMaps(image_size, image_size // 4)
        self.key = nn.Conv2d(dims[0], key_dim, 1)
        self.key_norm = ChannelRMSNorm(1e-5)
        self.likeness = ClickLikeness(image_size, sum(self.dims), key_dim)
        self.entry = RepConv(dims[0], wide, active=False, fused=fused)
        self.told = nn.Conv2d(9, wide, 1)  # four maps of the prompts, four of resemblance, and the previous mask
        self.told_like, self.told_like_middle = (_silent(nn.Conv2d(4, each, 1)) for each in (wide, middle))
        self.before = nn.Sequential(*(UniversalBottleneck(wide, wide, 5, 5, fused=fused) for _ in range(depth)))
        self.down = UniversalBottleneck(wide, low, 0, 3, stride=2, fused=fused)
        self.low = nn.Sequential(*(UniversalBottleneck(low, low, 5, 5, fused=fused) for _ in range(depth)))
        self.lift = RepConv(low, wide, active=False, fused=fused)
        self.after = UniversalBottleneck(wide, wide, 3, 3, fused=fused)
        self.to_middle = RepConv(wide, middle, active=False, fused=fused)
        self.refine_middle = UniversalBottleneck(middle, middle, 3, 3, fused=fused)
        self.to_detail = RepConv(middle, detail, active=False, fused=fused)
        self.told_detail = nn.Conv2d(4, detail, 1)
        self.known_detail = nn.Conv2d(1, detail, 2, 2)
        self.refine_detail = UniversalBottleneck(detail, detail, 3, 3, fused=fused)
        self.head = nn.Sequential(RepConv(detail, 16, fused=fused), _undecided(nn.ConvTranspose2d(16, MASKS, 2, 2)))
        self.known_finer = nn.Conv2d(1, 8, 2, 2)
        self.finer = nn.Sequential(
            UniversalBottleneck(self.dims[-1] + 12, edges, 3, 0, 1.5, fused=fused),
            _silent(nn.ConvTranspose2d(edges, MASKS, 2, 2)),
        )
        self.quality = nn.Sequential(nn.Linear(wide + low, 64), nn.ReLU(), nn.Linear(64, MASKS), nn.Sigmoid())

    def forward(
        self, embedding: Tensor, middle: Tensor, detail: Tensor, points: Tensor, labels: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A click.

        Args:
            embedding, middle, detail: of the image encoder, channels last.
            points: (B, P, 2), x and y in pixels of the encoder's photo.
            labels: (B, P) of int32: 1 on the object, 0 beside it, 2 and 3 a box's corners, -1 padding.
            mask: (B, 1, S/2, S/2), logits of the mask so far; zeros if there is none.

        Returns:
            masks (B, 3, S/2, S/2) as logits, and the IoU expected of each, (B, 3).
        """
        embedding, middle, detail = (each.permute(0, 3, 1, 2) for each in (embedding, middle, detail))
        features = torch.cat([embedding, F.avg_pool2d(middle, 2), F.avg_pool2d(detail, 4)], 1)
        like = self.likeness(features, points, labels)
        detail, edges = detail.split([self.dims[-1] - self.edges, self.edges], 1)
        fine = self.maps(points, labels)
        coarse = F.max_pool2d(fine, 4)
        known = torch.tanh(mask * 0.25)  # zero where nothing is known
        roughly = F.avg_pool2d(known, 8)
        alike = self._resemblance(embedding, coarse, roughly)
        x = self.entry(embedding) + self.told(torch.cat([coarse, roughly, alike], 1))
        x = self.before(x + self.told_like(like))
        low = self.low(self.down(x))
        x = self.after(x + _up(self.lift(low)))
        quality = self.quality(torch.cat([_mean(x), _mean(low)], 1))
        x = self.refine_middle(_up(self.to_middle(x)) + middle + self.told_like_middle(_up(like)))
        x = _up(self.to_detail(x)) + detail + self.told_detail(fine) + self.known_detail(known)
        x = self.refine_detail(x)
        return self.head(x) + self.finer(torch.cat([x, edges, fine, self.known_finer(known)], 1)), quality

    def _resemblance(self, embedding: Tensor, maps: Tensor, known: Tensor) -> Tensor:
        """Cosines between each place and the mean of those clicked on, beside, boxed, and in the mask: (B, 4, h, w)."""
        batch, _, height, width = embedding.shape
        keys = self.key_norm(self.key(embedding)).flatten(2)  # (B, key_dim, h * w), each of mean square 1
        chosen = torch.cat([maps[:, :3], F.relu(known)], 1).flatten(2)
        chosen = chosen / (chosen.sum(2, keepdim=True) + 1e-2)
        means = torch.matmul(chosen, keys.transpose(1, 2))  # (B, 4, key_dim)
        return (torch.matmul(means, keys) / keys.shape[1]).reshape(batch, 4, height, width)

    def signature(self) -> Signature:
        size, half = self.image_size, self.image_size // 2
        inputs = (
            *feature_specs(size, self.dims),
            TensorSpec("points", (1, self.points, 2)),
            TensorSpec("labels", (1, self.points), "int32", PADDING, BOX_END),
            TensorSpec("mask", (1, 1, half, half)),
        )
        outputs = (TensorSpec("masks", (1, MASKS, half, half)), TensorSpec("iou", (1, MASKS), low=0, high=1))
        return Signature(self.component, inputs, outputs)

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        size = self.image_size
        features = {spec.name: torch.randn(spec.shape, generator=generator) for spec in feature_specs(size, self.dims)}
        return features | {
            "points": torch.rand(1, self.points, 2, generator=generator) * (size - 1),
            "labels": torch.randint(PADDING, 2, (1, self.points), dtype=torch.int32, generator=generator),
            "mask": torch.randn(1, 1, size // 2, size // 2, generator=generator) * 4,
        }
