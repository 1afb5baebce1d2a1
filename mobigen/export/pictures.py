"""The last gate of text to image: the graphs together must draw the picture that the networks draw.

Each graph may pass its own floor while their errors add up over the steps; a person sees the sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mobigen.errors import ParityError
from mobigen.export.inputs import Arrays, record_inputs
from mobigen.export.parity import psnr
from mobigen.export.source import Source
from mobigen.runtime import Component

__all__ = ["PICTURE_FLOOR", "check_pictures", "compare_pictures"]

PICTURE_FLOOR = 35.0  # dB


def compare_pictures(
    source: Source, networks: Mapping[str, Component], graphs: Mapping[str, Component], prompts: Sequence[str]
) -> list[float]:
    """The dB of each prompt's picture, drawn by the graphs, against the networks' from the same noise.

    Pictures are compared as they are seen: clamped to [0, 1], colour times alpha, and alpha.
    """
    drawn = [
        [_visible(components["decoder"](**inputs)["image"]) for inputs in _latents(source, components, prompts)]
        for components in (networks, graphs)
    ]
    return [psnr(wanted, found) for wanted, found in zip(*drawn, strict=True)]


def check_pictures(decibels: Sequence[float]) -> None:
    """Refuse graphs whose worst picture is below PICTURE_FLOOR. Raises ParityError."""
    worst = min(decibels)
    if not worst >= PICTURE_FLOOR:
        raise ParityError(
            f"a picture by the graphs agrees with the networks' to {worst:.1f} dB, "
            f"at least {PICTURE_FLOOR:g} are needed; choose a wider precision for the worst component"
        )


def _latents(source: Source, components: Mapping[str, Component], prompts: Sequence[str]) -> list[Arrays]:
    return record_inputs(components, source.settings, source.tokenizer, prompts)["decoder"]


def _visible(image: np.ndarray) -> np.ndarray:
    """Straight RGBA (1, 4, H, W) in [-1, 1] -> colour times alpha, and alpha, in [0, 1]."""
    unit = (image.clip(-1, 1) + 1) / 2
    return np.concatenate([unit[:, :3] * unit[:, 3:], unit[:, 3:]], axis=1)
