"""Upscaling: drawn pictures with edges, letters, slopes and grain, larger than a tile, and the result as it is seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mobigen.errors import ExportError
from mobigen.export.source import Source
from mobigen.export.tasks.trail import Requests, Trail
from mobigen.pipelines.upscale import UpscalePipeline
from mobigen.runtime import Component

__all__ = ["RESULT_FLOOR", "check", "draw_picture", "requests", "run"]

PARITY_SEEDS = range(3)
CALIBRATION_SEEDS = range(3, 9)  # none of the above: a range must not be fitted to what it is judged on
RESULT_FLOOR = 35.0  # dB, of results rounded to 8 bits on both sides
LETTERS = "Sharper than it was 0123456789"


def check(source: Source) -> None:
    """The constants of the pipeline must be those of its network.

    Raises:
        ExportError: there is no upscaler, or its shapes are not the settings'.
    """
    if "upscaler" not in source.networks:
        raise ExportError(f"{source.name} lacks its upscaler, which an upscale model needs")
    signature = source.signatures()["upscaler"]
    scale, overlap = source.settings.scale, source.settings.overlap
    before, after = signature.inputs[0].shape, signature.outputs[0].shape
    if after[2:] != tuple(size * scale for size in before[2:]):
        raise ExportError(f"pipeline.json means a scale of {scale}, the network makes {after} of {before}")
    if min(before[2:]) <= 2 * overlap:
        raise ExportError(f"pipeline.json leaves nothing of a tile of {before} inside an overlap of {overlap} pixels")
    reach = getattr(source.networks["upscaler"], "reach", None)
    if reach is not None and overlap < reach:
        raise ExportError(f"pipeline.json's overlap of {overlap} pixels leaves seams: the network looks {reach} far")


def requests(source: Source) -> Requests:
    """Drawn pictures, which need more than one tile."""
    height, width = source.signatures()["upscaler"].inputs[0].shape[2:]
    parity, calibration = (
        tuple(draw_picture(width + width // 4, height // 2, seed) for seed in seeds)
        for seeds in (PARITY_SEEDS, CALIBRATION_SEEDS)
    )
    return Requests(parity, calibration)


def draw_picture(width: int, height: int, seed: int) -> np.ndarray:
    """uint8 (height, width, 3): a slope of two colours, discs, letters and lines, and grain over a half."""
    source = np.random.default_rng(seed)
    first, second = source.integers(0, 256, (2, 3))
    ramp = np.linspace(0, 1, width)[None, :, None]
    image = Image.fromarray(np.repeat(first + (second - first) * ramp, height, axis=0).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for x, y in source.integers(0, (width, height), (8, 2)).tolist():
        radius, colour = int(source.integers(2, max(3, height // 3))), tuple(source.integers(0, 256, 3).tolist())
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        draw.line((x, y, width - x, y // 2), fill=colour[::-1])
    ink = tuple((255 - first).tolist())
    draw.text((4, height // 3), LETTERS, ink, ImageFont.load_default(max(10, height // 8)))
    grain = source.normal(0, 8, (height, width, 3)) * (np.arange(width)[None, :, None] > width // 2)
    return np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)


def run(source: Source, components: Mapping[str, Component], requests: Sequence[np.ndarray]) -> Iterator[Trail]:
    """Each picture enlarged; there are no steps."""
    pipeline = UpscalePipeline(source.settings, components, source.files, source.name)
    for picture in requests:
        yield Trail((), pipeline.upscale(picture).astype(np.float32) / 255)
