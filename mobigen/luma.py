"""Luma and chroma of BT.601 in studio swing, as MATLAB's rgb2ycbcr and the tables of super-resolution have them.

All are divided by 255: for RGB in [0, 1], luma is in [16/255, 235/255] and chroma in [16/255, 240/255]. Written for
arrays of any library whose operators are NumPy's.
"""

from typing import Any

__all__ = ["LUMA_SPAN", "WEIGHTS", "from_rgb", "luma", "to_rgb"]

WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # of red, green and blue
OFFSET, MIDDLE = 16 / 255, 128 / 255
LUMA_SPAN = sum(WEIGHTS)  # from black to white
CHROMA_SPAN = 112 / 255  # from grey to the most that a colour has
RED, GREEN, BLUE = (weight / LUMA_SPAN for weight in WEIGHTS)


def luma(red: Any, green: Any, blue: Any) -> Any:
    """Luma of three arrays in [0, 1]."""
    return OFFSET + WEIGHTS[0] * red + WEIGHTS[1] * green + WEIGHTS[2] * blue


def from_rgb(red: Any, green: Any, blue: Any) -> tuple[Any, Any, Any]:
    """Luma, blue chroma and red chroma of three arrays in [0, 1]."""
    grey = RED * red + GREEN * green + BLUE * blue
    in_blue = MIDDLE + CHROMA_SPAN * (blue - grey) / (1 - BLUE)
    in_red = MIDDLE + CHROMA_SPAN * (red - grey) / (1 - RED)
    return OFFSET + LUMA_SPAN * grey, in_blue, in_red


def to_rgb(luma: Any, in_blue: Any, in_red: Any) -> tuple[Any, Any, Any]:
    """The way back from `from_rgb`; values may leave [0, 1]."""
    grey = (luma - OFFSET) / LUMA_SPAN
    blue = grey + (in_blue - MIDDLE) * (1 - BLUE) / CHROMA_SPAN
    red = grey + (in_red - MIDDLE) * (1 - RED) / CHROMA_SPAN
    return red, (grey - RED * red - BLUE * blue) / GREEN, blue
