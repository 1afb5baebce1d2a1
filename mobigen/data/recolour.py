"""Colour: which one dominates a sticker, and the same sticker in another.

All work on hue, saturation and value as OpenCV gives them for float pictures: hue in degrees, the others in [0, 1].
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["COLOURS", "colour_shares", "dominant_region", "recolour"]

Array = NDArray[np.floating]


class Colour(NamedTuple):
    """A typical hue in degrees, saturation and value."""

    hue: float
    saturation: float
    value: float


COLOURS = {
    "red": Colour(0, 0.85, 0.88),
    "orange": Colour(28, 0.88, 0.96),
    "yellow": Colour(50, 0.8, 0.98),
    "green": Colour(120, 0.7, 0.68),
    "teal": Colour(176, 0.75, 0.65),
    "blue": Colour(216, 0.8, 0.88),
    "purple": Colour(275, 0.62, 0.74),
    "pink": Colour(333, 0.45, 0.98),
    "brown": Colour(22, 0.6, 0.46),
    "black": Colour(0, 0.05, 0.2),
    "white": Colour(0, 0.02, 0.95),
    "gray": Colour(0, 0.03, 0.58),
}
HUES = {  # upper bounds in degrees; above the last it is red again
    "red": 14, "orange": 40, "yellow": 66, "green": 158, "teal": 192, "blue": 250, "purple": 298, "pink": 346,
}  # fmt: skip
GREY_BELOW = 0.22  # saturation under which a pixel has no hue
REGION_WIDTH = 35.0  # degrees to either side of the dominant hue
SHARE_NEEDED = 0.35  # of the visible area, for a region to count as the sticker's colour


class Region(NamedTuple):
    """The part of a sticker that gives it its colour: soft mask (H, W) in [0, 1], its colour's name and its medians."""

    mask: Array
    name: str
    median: Colour


def _hsv(rgba: NDArray[np.uint8]) -> Array:
    return cv2.cvtColor(rgba[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2HSV)


def _hue_distance(hue: Array | float, other: Array | float) -> Array:
    return np.abs((np.asarray(hue, np.float32) - other + 180) % 360 - 180)


def _names_of(hsv: Array) -> NDArray[np.intp]:
    """The index in COLOURS of every pixel (..., 3); where several rules hold, the first counts."""
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    grey, reddish = saturation < GREY_BELOW, (hue > 298) | (hue < 14)
    rules = {
        "black": (value < 0.16) | (grey & (value < 0.32)),
        "white": grey & (value > 0.8),
        "gray": grey,
        "pink": reddish & (saturation < 0.6) & (value > 0.75),
        "brown": (hue > 8) & (hue < 45) & (value < 0.62),
    }
    order = list(COLOURS)
    by_hue = np.array([order.index(name) for name in [*HUES, "red"]])[np.searchsorted(list(HUES.values()), hue)]
    return np.select(list(rules.values()), [order.index(name) for name in rules], by_hue)


def colour_shares(rgba: NDArray[np.uint8]) -> dict[str, float]:
    """The share of the visible area that each colour of COLOURS covers; `rgba` (H, W, 4) of uint8."""
    visible = rgba[..., 3] > 127
    counts = np.bincount(_names_of(_hsv(rgba))[visible], minlength=len(COLOURS))
    return dict(zip(COLOURS, (counts / max(visible.sum(), 1)).tolist(), strict=True))


def dominant_region(rgba: NDArray[np.uint8]) -> Region | None:
    """The region of one hue, or of no hue, that covers most of a sticker `rgba` (H, W, 4) of uint8.

    None where nothing covers SHARE_NEEDED of it.
    """
    hsv = _hsv(rgba)
    alpha = rgba[..., 3].astype(np.float32) / 255
    coloured = (hsv[..., 1] >= GREY_BELOW) & (hsv[..., 2] >= 0.16)
    weight = alpha * coloured
    greyish = alpha * ~coloured * (hsv[..., 2] >= 0.25)  # dark outlines stay as they are
    if greyish.sum() > weight.sum():
        return _region(greyish, hsv, alpha)
    counts, _ = np.histogram(hsv[..., 0], bins=72, range=(0, 360), weights=weight)
    smooth = sum(np.roll(counts, shift) for shift in range(-3, 4))
    centre = float(np.argmax(smooth)) * 5 + 2.5
    near = np.clip(2 - _hue_distance(hsv[..., 0], centre) / REGION_WIDTH * 1.5, 0, 1)
    return _region(weight * near, hsv, alpha)


def _region(mask: Array, hsv: Array, alpha: Array) -> Region | None:
    """The region under `mask`, unless it is too small."""
    inside = mask > 0.5
    if mask.sum() < SHARE_NEEDED * max(alpha.sum(), 1.0) or inside.sum() < 64:
        return None
    pixels = hsv[inside]
    angles = np.deg2rad(pixels[:, 0])
    hue = float(np.rad2deg(np.arctan2(np.sin(angles).mean(), np.cos(angles).mean())) % 360)
    median = Colour(hue, float(np.median(pixels[:, 1])), float(np.median(pixels[:, 2])))
    name = list(COLOURS)[int(_names_of(np.array(median, np.float32)))]
    return Region(mask.astype(np.float32), name, median)


def recolour(rgba: NDArray[np.uint8], region: Region, colour: str) -> NDArray[np.uint8]:
    """The sticker with its region moved to a colour of COLOURS, shading kept; `rgba` (H, W, 4) -> (H, W, 4), uint8."""
    moved = _moved(_hsv(rgba), region.median, COLOURS[colour])
    colours = cv2.cvtColor(moved.astype(np.float32), cv2.COLOR_HSV2RGB)
    mask = region.mask[..., None]
    mixed = colours * mask + rgba[..., :3].astype(np.float32) / 255 * (1 - mask)
    return np.dstack([np.round(mixed * 255).clip(0, 255).astype(np.uint8), rgba[..., 3]])


def _moved(hsv: Array, median: Colour, target: Colour) -> Array:
    """`hsv` (H, W, 3) with `median` moved to `target`: half of the spread in hue stays, shading keeps its ratios."""
    if median.saturation < GREY_BELOW:  # no hue to keep
        turn, saturation = np.zeros_like(hsv[..., 0]), np.full_like(hsv[..., 1], target.saturation)
    else:
        turn = 0.5 * ((hsv[..., 0] - median.hue + 180) % 360 - 180)
        saturation = hsv[..., 1] * target.saturation / median.saturation
    value = hsv[..., 2] * target.value / max(median.value, 0.05)
    return np.stack([(target.hue + turn) % 360, np.clip(saturation, 0, 1), np.clip(value, 0, 1)], axis=-1)
