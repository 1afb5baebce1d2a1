"""The RGBA autoencoder at 256x256: an encoder, a large teacher decoder and the small decoder that ships.

All three work on maps folded by 4, since convolutions at full resolution cost most and add least. The latent is
16x16 with 16 channels of unit variance. Pictures leave the decoders with straight (not premultiplied) colour, which
is judged only where it shows, so colour runs on beneath soft edges and no fringe appears on dark or light backgrounds.
Budget at the default sizes: encoder 5.7 M, teacher decoder 13.0 M, shipped decoder 3.4 M parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from mobigen.errors import ConfigError
from mobigen.models.network import Network
from mobigen.nn.conv import PlainResidualBlock, ResidualBlock
from mobigen.nn.norm import ChannelRMSNorm
from mobigen.nn.resample import FoldDown, ShuffleUp
from mobigen.signature import Signature, TensorSpec

__all__ = ["Decoder", "Encoder", "PyramidDecoder", "TeacherDecoder"]

FOLD = 4  # pixels a side that become channels before the first convolution
LEVELS = 3  # 64x64, 32x32 and 16x16 maps of a 256x256 picture
Block = ResidualBlock | PlainResidualBlock
AnyDecoder = TypeVar("AnyDecoder", bound="PyramidDecoder")


def _check_levels(widths: Sequence[int]) -> None:
    if len(widths) != LEVELS:
        raise ConfigError(f"an autoencoder has {LEVELS} levels, one width each; got {list(widths)}")


class Encoder(Network):
    """Picture -> latent. The last layer, a batch norm without weights, gives every channel of a latent unit variance.

    Raises:
        ConfigError: `widths` are not three.
    """

    component: ClassVar[str] = "encoder"

    def __init__(
        self,
        image_size: int = 256,  # pixels a side
        latent_channels: int = 16,
        widths: Sequence[int] = (96, 192, 320),  # at 1/4, 1/8 and 1/16
        depth: int = 2,  # residual blocks a level
    ):
        super().__init__()
        _check_levels(widths)
        self.image_size, self.latent_channels = image_size, latent_channels
        layers: list[nn.Module] = [FoldDown(4, widths[0], FOLD, kernel=3)]
        for level, width in enumerate(widths):
            if level:
                layers.append(FoldDown(widths[level - 1], width, 2))
            layers += [ResidualBlock(width) for _ in range(depth)]
        layers += [ChannelRMSNorm(), nn.SiLU(), nn.Conv2d(widths[-1], latent_channels, 1)]
        self.trunk = nn.Sequential(*layers)
        self.normalise = nn.BatchNorm2d(latent_channels, affine=False, momentum=0.02)

    def forward(self, image: Tensor) -> Tensor:
        """`image` (B, 4, H, W): premultiplied colour, and alpha, in [-1, 1] -> latent (B, C, H / 16, W / 16)."""
        statistics = self.normalise.get_buffer("running_var")  # float32 while training, whatever the trunk gives
        return self.normalise(self.trunk(image).to(statistics.dtype))

    def signature(self) -> Signature:
        size = self.image_size
        latent = (1, self.latent_channels, size // 16, size // 16)
        image = TensorSpec("image", (1, 4, size, size), low=-1.0, high=1.0)
        return Signature(self.component, (image,), (TensorSpec("latent", latent),))

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {"image": torch.rand(1, 4, self.image_size, self.image_size, generator=generator) * 2 - 1}


class PyramidDecoder(Network):
    """What both decoders share: three levels of blocks on the way up, whose maps can be compared in distillation.

    A decoder gives it a kind of block, and adds the head that makes a picture of the last map.
    """

    head: nn.Module

    def __init__(self, block: type[Block], image_size: int, latent_channels: int, widths: Sequence[int], depth: int):
        """`widths` at 1/16, 1/8 and 1/4; `depth` blocks a level. Raises ConfigError if the widths are not three."""
        super().__init__()
        _check_levels(widths)
        self.image_size, self.latent_channels, self.widths = image_size, latent_channels, tuple(widths)
        self.entry = nn.Conv2d(latent_channels, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(nn.Sequential(*(block(width) for _ in range(depth))) for width in widths)
        self.ups = nn.ModuleList(ShuffleUp(width, narrower, 2) for width, narrower in pairwise(widths))

    def features(self, latent: Tensor) -> list[Tensor]:
        """`latent` (B, C, h, w) -> maps of widths (B, w_i, 2^i h, 2^i w), i = 0, 1, 2."""
        maps = [self.levels[0](self.entry(latent))]
        for up, level in zip(self.ups, list(self.levels)[1:], strict=True):
            maps.append(level(up(maps[-1])))
        return maps

    def forward(self, latent: Tensor) -> Tensor:
        """`latent` (B, C, h, w), unit variance -> straight RGBA (B, 4, 16 h, 16 w), about [-1, 1]; clamp before use."""
        return self.head(self.features(latent)[-1])

    def at_size(self: AnyDecoder, size: int) -> AnyDecoder:
        """See `Network.at_size`; latents of `size` / 16. Raises ConfigError unless it is a multiple of 16."""
        if size < 16 or size % 16:
            raise ConfigError(f"{self.component} has no size {size}; accepted: multiples of 16")
        other = copy.copy(self)  # shallow: the modules are the same
        other.image_size = size
        other._hub_mixin_config = {**self._hub_mixin_config, "image_size": size}  # type: ignore[dict-item]  # is saved
        return other

    def signature(self) -> Signature:
        size = self.image_size
        latent = TensorSpec("latent", (1, self.latent_channels, size // 16, size // 16))
        return Signature(self.component, (latent,), (TensorSpec("image", (1, 4, size, size)),))

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        size = self.image_size // 16
        return {"latent": torch.randn(1, self.latent_channels, size, size, generator=generator)}


class TeacherDecoder(PyramidDecoder):
    """The large decoder, trained together with the encoder; it teaches `Decoder` and does not ship."""

    component: ClassVar[str] = "teacher_decoder"

    def __init__(
        self,
        image_size: int = 256,
        latent_channels: int = 16,
        widths: Sequence[int] = (384, 256, 128),  # at 1/16, 1/8 and 1/4
        depth: int = 3,
    ):
        super().__init__(ResidualBlock, image_size, latent_channels, widths, depth)
        self.head = nn.Sequential(ChannelRMSNorm(), nn.SiLU(), ShuffleUp(widths[-1], 4, FOLD, kernel=3))


class Decoder(PyramidDecoder):
    """The decoder that ships: plain convolutions and ReLU, no norms, at most 4 M parameters."""

    component: ClassVar[str] = "decoder"

    def __init__(
        self,
        image_size: int = 256,
        latent_channels: int = 16,
        widths: Sequence[int] = (224, 160, 96),  # at 1/16, 1/8 and 1/4
        depth: int = 2,
        head_width: int = 32,  # at 1/2
    ):
        super().__init__(PlainResidualBlock, image_size, latent_channels, widths, depth)
        self.head = nn.Sequential(
            ShuffleUp(widths[-1], head_width, 2, kernel=3), nn.ReLU(), ShuffleUp(head_width, 4, 2, kernel=3)
        )
