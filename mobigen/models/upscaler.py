"""What every super-resolution network shares: a scale, a tile, a signature, and a form in which it is deployed.

Pictures are in [0, 1] here, not in [-1, 1] as elsewhere in the house: the published networks add the input to the
output and clip to this range, and 8-bit pixels are then exactly the integers of a graph with scale 1/255 and zero
point 0, which no 8-bit zero point gives for [-1, 1]. A network of one channel works on luma (BT.601, studio swing,
divided by 255); who calls it enlarges the chroma.
"""

from __future__ import annotations

import copy
from typing import Any, ClassVar, TypeVar, cast

import torch
from torch import Tensor

from mobigen.errors import ConfigError
from mobigen.models.network import Network
from mobigen.nn.collapse import CollapsibleConv
from mobigen.signature import Signature, TensorSpec

__all__ = ["SCALES", "TILE", "Upscaler"]

SCALES = (2, 3, 4)
TILE = 256  # pixels a side of a graph's input, if nothing else is asked for
AnyUpscaler = TypeVar("AnyUpscaler", bound="Upscaler")


class Upscaler(Network):
    """A fully convolutional network from a picture to one `scale` times as large.

    The config of every upscaler has `scale`, and `tile_height` and `tile_width` of what is exported; where training
    has another form than deployment, also `fused`.
    """

    component: ClassVar[str] = "upscaler"
    channels: int = 3  # RGB; 1 is luma

    def __init__(self, scale: int, tile_height: int, tile_width: int):
        """Raises ConfigError if there is no such scale, or if the tile cannot be folded."""
        super().__init__()
        if scale not in SCALES:
            raise ConfigError(f"scale {scale} is not offered; accepted: {', '.join(map(str, SCALES))}")
        self.scale, self.tile_height, self.tile_width = scale, tile_height, tile_width

    @property
    def multiple(self) -> int:
        """What heights and widths must be a multiple of."""
        return 1

    @property
    def reach(self) -> int | None:
        """How many pixels away a pixel of the input may lie and still matter; None if all do."""
        raise NotImplementedError

    def signature(self) -> Signature:
        height, width = self.tile_height, self.tile_width
        image = TensorSpec("image", (1, self.channels, height, width), low=0.0, high=1.0)
        large = (1, self.channels, height * self.scale, width * self.scale)
        return Signature(self.component, (image,), (TensorSpec("upscaled", large, low=0.0, high=1.0),))

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {"image": torch.rand(1, self.channels, self.tile_height, self.tile_width, generator=generator)}

    def at_tile(self: AnyUpscaler, height: int, width: int) -> AnyUpscaler:
        """The same network, sharing these parameters, for tiles of `height` x `width` pixels.

        Raises:
            ConfigError: a size that the network cannot fold.
        """
        if min(height, width) < 1 or height % self.multiple or width % self.multiple:
            raise ConfigError(f"a tile of {height}x{width} pixels; accepted: multiples of {self.multiple}")
        other = copy.copy(self)
        other.tile_height, other.tile_width = height, width
        other._hub_mixin_config = {**self.config, "tile_height": height, "tile_width": width}
        return other

    def at_size(self, size: int) -> Upscaler:
        """As `at_tile`, for a square."""
        return self.at_tile(size, size)

    @property
    def config(self) -> dict[str, Any]:
        """The keyword arguments that make such a network, as config.json has them."""
        return {**cast(dict[str, Any], self._hub_mixin_config)}

    def fuse(self: AnyUpscaler) -> AnyUpscaler:
        """The form that is deployed, equal to 1e-4: each collapsible convolution has become a plain one.

        A network without such convolutions is that form itself.
        """
        if self.config.get("fused", True):
            return self
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            deployed = type(self)(**{**self.config, "fused": True})
            places = deployed.state_dict()
            for name, value in self.state_dict().items():
                if name in places:
                    places[name].copy_(value)
            for name, module in self.named_modules():
                if isinstance(module, CollapsibleConv):
                    for part, value in module.collapse()._asdict().items():
                        _fill(places[f"{name}.{part}"], value)
        return deployed.eval()


def _fill(place: Tensor, value: Tensor) -> None:
    """Copies `value` into the first rows of `place`; the rest becomes zero."""
    place.zero_()
    place[: len(value)] = value
