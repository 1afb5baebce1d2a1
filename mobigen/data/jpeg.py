"""What JPEG does to a picture, on batches and on any device: chroma at half size, and rounded 8x8 cosine transforms.

ITU-T T.81, with the tables of its annex K scaled by quality as the IJG's library does; it comes within a level or two
of that library's pixels (its chroma filter differs), and takes a quality for each picture of a batch.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["compress"]

BLOCK = 8
LUMA_TABLE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMA_TABLE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99, *[99] * 32,
)  # fmt: skip
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # JFIF


def compress(images: Tensor, quality: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in [0, 1], and a quality of 1 to 100 for each (B,) -> the same after JPEG, in steps of 1/255."""
    height, width = images.shape[2:]
    padded = F.pad(images * 255, (0, -width % (2 * BLOCK), 0, -height % (2 * BLOCK)), mode="replicate")
    constants = _constants(images.device)
    planes = torch.einsum("kc,bchw->bkhw", constants.to_ycc, padded)
    luma = _rounded(planes[:, :1] - 128, constants.luma_table, quality)
    chroma = _rounded(F.avg_pool2d(planes[:, 1:], 2), constants.chroma_table, quality)
    chroma = F.interpolate(chroma, scale_factor=2.0, mode="bilinear")
    back = torch.einsum("ck,bkhw->bchw", constants.to_rgb, torch.cat([luma + 128, chroma], dim=1))
    return back[..., :height, :width].clamp(0, 255).round() / 255


class Constants(NamedTuple):
    """The colours' matrices (3, 3), the tables (64,) and the `cosines` (8, 8), on one device."""

    to_ycc: Tensor
    to_rgb: Tensor
    luma_table: Tensor
    chroma_table: Tensor
    cosines: Tensor


@lru_cache(maxsize=8)
def _constants(device: torch.device) -> Constants:
    """Kept on the device: to copy them there for every batch would wait for all that is under way."""
    matrix = torch.tensor(TO_YCC)
    tables = torch.tensor(LUMA_TABLE), torch.tensor(CHROMA_TABLE)
    return Constants(*(each.to(device) for each in (matrix, torch.linalg.inv(matrix), *tables, _cosines())))


def _rounded(planes: Tensor, table: Tensor, quality: Tensor) -> Tensor:
    """Planes (B, C, H, W) about zero whose cosine coefficients are rounded to multiples of a table."""
    steps = _steps(table, quality).to(planes)[:, None, None, None]  # (B, 1, 1, 1, 8, 8)
    cosines = _constants(planes.device).cosines.to(planes)
    blocks = planes.unflatten(3, (-1, BLOCK)).unflatten(2, (-1, BLOCK)).transpose(3, 4)  # (B, C, rows, columns, 8, 8)
    kept = (cosines @ blocks @ cosines.T / steps).round() * steps
    return (cosines.T @ kept @ cosines).transpose(3, 4).flatten(4).flatten(2, 3)


def _steps(table: Tensor, quality: Tensor) -> Tensor:
    """(B, 8, 8): the table at each quality, in whole numbers of 1 to 255."""
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    scaled = table * percent[:, None]
    return ((scaled + 50) / 100).floor().clamp(1, 255).unflatten(1, (BLOCK, BLOCK))


def _cosines() -> Tensor:
    """The orthonormal cosine transform of 8 samples."""
    frequency, place = torch.arange(BLOCK)[:, None], torch.arange(BLOCK)
    matrix = torch.cos((2 * place + 1) * frequency * math.pi / (2 * BLOCK)) * (2 / BLOCK) ** 0.5
    matrix[0] /= 2**0.5
    return matrix
