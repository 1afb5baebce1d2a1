"""Bicubic resizing of batches as two matrix products: what super-resolution undoes.

Core ML ignores the antialias flag of torch's own resize; see `mobigen.bicubic` for what else differs.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from mobigen.bicubic import resize_matrix

__all__ = ["resize"]


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) of floats -> (B, C, height, width); values may overshoot at edges."""
    rows = _matrix(images.shape[2], height, images.dtype, images.device)
    columns = _matrix(images.shape[3], width, images.dtype, images.device)
    return rows @ images @ columns.T


@lru_cache(maxsize=64)
def _matrix(before: int, after: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Kept on the device: to copy it there for every batch would wait for all that is under way."""
    return torch.tensor(resize_matrix(before, after), dtype=dtype, device=device)
