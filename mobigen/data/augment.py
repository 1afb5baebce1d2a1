"""Small similarity transforms of stickers, on the training device."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["jitter"]


def jitter(images: Tensor, mirror: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Turns, scales and shifts each picture a little; what comes in from outside is transparent.

    Args:
        images: (B, 4, H, W) from `premultiply`.
        mirror: (B,) of bool, the pictures that may be mirrored; half of those are.
        generator: source of randomness on the device of `images`.
        strength: 1 is up to 6 degrees, 8 % and 4 %; 0 leaves only the mirroring.
    """
    count, device = len(images), images.device
    drawn = torch.rand(5, count, generator=generator, device=device) * 2 - 1
    angle = drawn[0] * strength * math.radians(6)
    scale = torch.exp(drawn[1] * strength * 0.08)
    flip = torch.where(mirror & (drawn[4] > 0), -1.0, 1.0)
    cosine, sine = angle.cos() * scale, angle.sin() * scale
    rows = torch.stack(
        [cosine * flip, -sine, drawn[2] * strength * 0.08, sine * flip, cosine, drawn[3] * strength * 0.08], dim=1
    )
    grid = F.affine_grid(rows.reshape(count, 2, 3), list(images.shape), align_corners=False)
    opaque = torch.cat([images[:, :3], (images[:, 3:] + 1) / 2], dim=1)  # zero everywhere outside
    moved = F.grid_sample(opaque, grid, padding_mode="zeros", align_corners=False)
    return torch.cat([moved[:, :3], moved[:, 3:] * 2 - 1], dim=1)
