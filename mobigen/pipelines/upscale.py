"""Upscaling: a picture of any size in, the same several times as large out, tile by tile and without seams.

Each tile is run with as much around it as the network looks at, so that a pixel comes out as if the whole picture had
been run at once; beyond the picture its border is repeated. What is finished is handed over in bands of rows, so memory
does not grow with the picture.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image

from mobigen import __version__
from mobigen.bicubic import resize_matrix
from mobigen.bundle import Bundle
from mobigen.errors import BundleError, InputError
from mobigen.luma import from_rgb, to_rgb
from mobigen.runtime import Component, load_component
from mobigen.settings import UpscaleSettings
from mobigen.signature import Signature

__all__ = ["Band", "UpscaleOutput", "UpscalePipeline", "at_tile"]

OUTPUT_TYPES = ("pil", "np")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # of a picture with so many channels


class Band(NamedTuple):
    """Finished rows of a picture: uint8 (rows, width, channels), and the first row's place in the result."""

    top: int
    pixels: np.ndarray


@dataclass(frozen=True)
class UpscaleOutput:
    """The enlarged pictures, in order."""

    images: list[Any]  # PIL images, or uint8 arrays of RGB order


class UpscalePipeline:
    """Enlarges pictures with the network of a bundle."""

    def __init__(
        self,
        settings: UpscaleSettings,
        components: Mapping[str, Component],
        files: Mapping[str, Path],
        model: str,
        version: str = __version__,
    ) -> None:
        """Join the component of a model; `from_bundle` opens that of a bundle.

        Args:
            settings: the constants that the network was made for.
            components: upscaler, on any backend.
            files: none are needed.
            model, version: what a picture's parameters are to say.

        Raises:
            BundleError: the component does not fit the task.
        """
        self._upscaler = components["upscaler"]
        self._shape = _check_tensors(self._upscaler.signature, settings)
        self.model, self.version = model, version
        self.scale, self.overlap = settings.scale, settings.overlap

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        backend: str = "litert",
        threads: int | None = None,
        weights: str | PathLike[str] | None = None,
    ) -> "UpscalePipeline":
        """Open the network of a bundle whose task is upscale; arguments and errors as of `mobigen.load`."""
        metadata = bundle.metadata
        _check_tensors(bundle.signature("upscaler"), metadata.settings)  # before a graph is opened
        components = {"upscaler": load_component(bundle, "upscaler", backend, threads, weights)}
        return cls(metadata.settings, components, bundle.files(), metadata.name, metadata.version)

    @property
    def parameters(self) -> dict[str, str | int | float]:
        """What makes a picture again, beside the picture it was made from."""
        return {"model": self.model, "version": self.version, "scale": self.scale}

    # --- calls ----------------------------------------------------------------------------------------------

    def __call__(self, image: Any | Sequence[Any], *, strength: float = 1.0, output_type: str = "pil") -> UpscaleOutput:
        """Enlarge a picture, or several.

        Args:
            image: as of `upscale`; or a list of such.
            strength: from 0, bicubic, which invents nothing, to 1, what the network makes of it.
            output_type: "pil", or "np" for uint8 arrays of RGB order.

        Raises:
            InputError: an argument is not accepted; nothing was made.
        """
        if output_type not in OUTPUT_TYPES:
            raise InputError(f"output_type is {output_type!r}; accepted: {', '.join(OUTPUT_TYPES)}")
        images = list(image) if isinstance(image, (list, tuple)) else [image]
        checked = [_pixels(each) for each in images]
        _check_strength(strength)
        made = [self._whole(pixels, strength) for pixels in checked]
        return UpscaleOutput([_as_pil(each) for each in made] if output_type == "pil" else made)

    def upscale(self, image: Any, scale: int | None = None, strength: float = 1.0) -> Any:
        """Enlarge a picture.

        Args:
            image: a PIL image; or a uint8 array (H, W), (H, W, 3) or (H, W, 4) of RGB order. Alpha is kept.
            scale: None, or this model's own, said again.
            strength: from 0, bicubic, which invents nothing, to 1, what the network makes of it.

        Returns:
            A picture of the same kind and as many channels.

        Raises:
            InputError: an argument is not accepted.
        """
        if scale is not None and scale != self.scale:
            raise InputError(f"{self.model} enlarges by {self.scale}, not by {scale!r}; load a model that does")
        _check_strength(strength)
        made = self._whole(_pixels(image), strength)
        return _as_pil(made) if isinstance(image, Image.Image) else made

    def enhance(self, img: np.ndarray, outscale: float | None = None) -> tuple[np.ndarray, str]:
        """Enlarge as `RealESRGANer.enhance` does, for code written for that.

        Args:
            img: uint8 as cv2.imread gives it: (H, W), (H, W, 3) of BGR or (H, W, 4) of BGRA order.
            outscale: how many times as large the result is to be, if not the model's scale: it is resized.

        Returns:
            The enlarged picture in the same order, and "L", "RGB" or "RGBA".

        Raises:
            InputError: an argument is not accepted.
        """
        if outscale is not None and not 0 < outscale <= 4 * self.scale:
            raise InputError(f"outscale is {outscale!r}; accepted: above 0, at most {4 * self.scale}")
        made = self.upscale(_swapped(img))
        if outscale is not None and outscale != self.scale:
            height, width = (max(1, round(size * outscale)) for size in img.shape[:2])
            made = np.asarray(Image.fromarray(made).resize((width, height), Image.Resampling.LANCZOS))
        return _swapped(made), MODES[1 if made.ndim == 2 else made.shape[2]]

    def stream(self, image: Any, strength: float = 1.0) -> Iterator[Band]:
        """Enlarge a picture band by band, from the top, for results that are too large for memory.

        Args: as of `upscale`; the bands of grey pictures have one channel.

        Raises:
            InputError: an argument is not accepted; raised at once, before the first band is asked for.
        """
        _check_strength(strength)
        return self._bands(_pixels(image), strength)

    # --- tiles ----------------------------------------------------------------------------------------------

    def _whole(self, pixels: np.ndarray, strength: float) -> np.ndarray:
        made = np.concatenate([band.pixels for band in self._bands(pixels, strength)])
        return made[..., 0] if pixels.shape[2] == 1 else made

    def _bands(self, pixels: np.ndarray, strength: float) -> Iterator[Band]:
        """Bands of (rows, W * scale, channels) from (H, W, channels)."""
        height, width, channels = pixels.shape
        core_height, core_width = (size - 2 * self.overlap for size in self._shape[2:])
        for top in range(0, height, core_height):
            rows = min(core_height, height - top)
            band = np.empty((rows * self.scale, width * self.scale, channels), np.uint8)
            for left in range(0, width, core_width):
                columns = min(core_width, width - left)
                made = self._tile(self._window(pixels, top, left), strength)
                place = slice(left * self.scale, (left + columns) * self.scale)
                band[:, place] = made[: rows * self.scale, : columns * self.scale]
            yield Band(top * self.scale, band)

    def _window(self, pixels: np.ndarray, top: int, left: int) -> np.ndarray:
        """The pixels of a tile (h, w, channels) whose core begins at (top, left); borders are repeated."""
        rows, columns = (
            np.clip(np.arange(begin - self.overlap, begin - self.overlap + size), 0, length - 1)
            for begin, size, length in zip((top, left), self._shape[2:], pixels.shape[:2], strict=True)
        )
        return pixels[rows[:, None], columns]

    def _tile(self, window: np.ndarray, strength: float) -> np.ndarray:
        """uint8 (h, w, channels) -> the core of the enlarged tile, uint8 of the same channels."""
        planes = window.transpose(2, 0, 1).astype(np.float32) / 255
        if len(planes) == 4:
            made = self._with_alpha(planes, strength)
        elif len(planes) == 1:
            made = self._enlarge(np.repeat(planes, 3, axis=0), strength).mean(axis=0, keepdims=True)
        else:
            made = self._enlarge(planes, strength)
        edge = self.overlap * self.scale
        core = made[:, edge : made.shape[1] - edge, edge : made.shape[2] - edge]
        return np.rint(core.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)

    def _with_alpha(self, planes: np.ndarray, strength: float) -> np.ndarray:
        """RGBA by colour times alpha, and alpha by itself: what is hidden behind transparency shows nowhere."""
        colour, alpha = planes[:3], planes[3:]
        if alpha.min() == 1:
            solid = np.ones((1, *(size * self.scale for size in alpha.shape[1:])), np.float32)
            return np.concatenate([self._enlarge(colour, strength), solid])
        seen = self._enlarge(colour * alpha, strength)
        opacity = self._enlarge(np.repeat(alpha, 3, axis=0), strength).mean(axis=0, keepdims=True)
        visible = opacity >= 0.5 / 255
        straight = np.divide(seen, opacity, out=np.zeros_like(seen), where=np.broadcast_to(visible, seen.shape))
        return np.concatenate([straight, opacity])

    def _enlarge(self, planes: np.ndarray, strength: float) -> np.ndarray:
        """RGB (3, h, w) in [0, 1] -> (3, h * scale, w * scale)."""
        if strength == 0:
            return self._bicubic(planes)
        made = self._by_luma(planes) if self._shape[1] == 1 else self._run(planes)
        return made if strength == 1 else strength * made + (1 - strength) * self._bicubic(planes)

    def _by_luma(self, planes: np.ndarray) -> np.ndarray:
        """Luma by the network, chroma by OpenCV's bicubic, ten times as fast as `_bicubic`."""
        luma, *chroma = from_rgb(*planes)
        size = tuple(side * self.scale for side in luma.shape[::-1])
        large = [cv2.resize(each, size, interpolation=cv2.INTER_CUBIC) for each in chroma]
        return np.stack(to_rgb(self._run(luma[None])[0], *large))

    def _run(self, planes: np.ndarray) -> np.ndarray:
        return self._upscaler(image=planes[None].astype(np.float32))["upscaled"][0]

    def _bicubic(self, planes: np.ndarray) -> np.ndarray:
        rows, columns = (resize_matrix(size, size * self.scale).astype(np.float32) for size in planes.shape[1:])
        return rows @ planes @ columns.T


def at_tile(bundle: Bundle, tile: int) -> Bundle:
    """The bundle with another of the tiles that its graph serves, `tile` pixels a side. Raises InputError."""
    component = bundle.metadata.components["upscaler"]
    served = {each.inputs[0].shape[2:]: each for each in (component.signature, *component.sizes.values())}
    if (tile, tile) not in served:
        names = ", ".join(str(width) if width == height else f"{width}x{height}" for height, width in served)
        raise InputError(f"{bundle.metadata.name} has no tile of {tile}; its tiles: {names}")
    chosen = {"upscaler": replace(component, signature=served[tile, tile])}
    return replace(bundle, metadata=replace(bundle.metadata, components={**bundle.metadata.components, **chosen}))


def _check_tensors(signature: Signature, settings: UpscaleSettings) -> tuple[int, ...]:
    """The shape of a tile. Raises BundleError if the component is not what the pipeline calls."""
    names = tuple(tuple(spec.name for spec in side) for side in (signature.inputs, signature.outputs))
    if names != (("image",), ("upscaled",)):
        raise BundleError(f"upscaler is {names}, an upscale pipeline needs (('image',), ('upscaled',))")
    before, after = signature.inputs[0].shape, signature.outputs[0].shape
    wanted = (*before[:2], *(size * settings.scale for size in before[2:]))
    if len(before) != 4 or before[0] != 1 or before[1] not in (1, 3) or after != wanted:
        raise BundleError(f"upscaler makes {after} of {before}, which is not a tile enlarged by {settings.scale}")
    if min(before[2:]) <= 2 * settings.overlap:
        raise BundleError(f"the tile of upscaler, {before}, has nothing inside an overlap of {settings.overlap} pixels")
    return before


def _check_strength(strength: float) -> None:
    if isinstance(strength, bool) or not isinstance(strength, (int, float)) or not 0 <= strength <= 1:
        raise InputError(f"strength is {strength!r}; accepted: from 0, bicubic, to 1, the network")


def _pixels(image: Any) -> np.ndarray:
    """uint8 (H, W, 1, 3 or 4). Raises InputError."""
    values = np.asarray(_plain(image)) if isinstance(image, Image.Image) else image
    if not isinstance(values, np.ndarray) or values.dtype != np.uint8 or values.ndim not in (2, 3) or not values.size:
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(image).__name__
        raise InputError(f"the picture is {found}; accepted: a PIL image, or uint8 of (H, W), (H, W, 3) or (H, W, 4)")
    pixels = values[..., None] if values.ndim == 2 else values
    if pixels.shape[2] not in MODES:
        raise InputError(f"the picture has {pixels.shape[2]} channels; accepted: 1 grey, 3 RGB or 4 RGBA")
    return pixels


def _plain(image: Image.Image) -> Image.Image:
    """In mode L, RGB or RGBA."""
    if image.mode in MODES.values():
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _as_pil(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels)


def _swapped(pixels: Any) -> Any:
    """Red and blue exchanged, where there are any."""
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 3 or pixels.shape[2] < 3:
        return pixels
    return np.ascontiguousarray(pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]])
