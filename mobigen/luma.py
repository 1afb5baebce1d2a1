"""Luma and chroma of BT.601 in studio swing, as MATLAB's rgb2ycbcr and the tables of super-resolution have them.

Here all are divided by 255: for RGB in [0, 1] luma lies in [16/255, 235/255]. Written for arrays of any library whose
operators are NumPy's.
"""

from typing import Any

__all__ = ["LUMA_SPAN", "WEIGHTS", "luma"]

WEIGHTS = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # of red, green and blue
OFFSET = 16 / 255
LUMA_SPAN = sum(WEIGHTS)  # from black to white


def luma(red: Any, green: Any, blue: Any) -> Any:
    """Luma of three arrays in [0, 1]."""
    return OFFSET + WEIGHTS[0] * red + WEIGHTS[1] * green + WEIGHTS[2] * blue
