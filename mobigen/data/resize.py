"""Bicubic resizing of batches as two matrix products: what super-resolution undoes.

Core ML ignores the antialias flag of torch's own resize; see `mobigen.bicubic` for what else differs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mobigen.bicubic import resize_matrix

__all__ = ["resize"]


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """(B, C, H, W) of floats -> (B, C, height, width); values may overshoot at edges."""
    rows, columns = (
        torch.tensor(resize_matrix(*pair)) for pair in ((images.shape[2], height), (images.shape[3], width))
    )
    return rows.to(images) @ images @ columns.to(images).T
