"""Drawn grounds to lay objects on: plain colours, gradients, stripes, checks, blots, clouds, and photos out of focus.

A thousand photos show few things on few grounds, and who has seen nothing else takes a strong colour for a thing. A
thing on another ground is still the same thing: so a network learns what to go by.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.data.draw import constant

__all__ = ["draw_colours", "draw_grounds"]

PLAIN, GRADIENT, STRIPES, CHECKS, BLOTS, CLOUDS, PHOTO = range(7)
CHANCES = (0.18, 0.2, 0.08, 0.08, 0.14, 0.14, 0.18)  # of those
WAVES = (1.0, 10.0)  # of stripes, along a side
SHARPNESS = (1.0, 40.0)  # of the edges of stripes, checks and blots, drawn by its logarithm
GRAINS = 12  # random values along a side, of which blots and clouds are made
COARSE = 32  # pixels along a side that are left of a photo
SEEN = (0.15, 0.6)  # share of a side of those that is enlarged


def draw_grounds(photos: Tensor, generator: torch.Generator) -> Tensor:
    """A ground for each photo (B, 3, S, S) of 0 to 255, of its kind and size; now and then made of the photo."""
    count, device = len(photos), photos.device
    kind = torch.multinomial(constant(CHANCES, device), count, True, generator=generator)[:, None, None, None]
    first, second = draw_colours(2 * count, generator).chunk(2)
    noise = torch.rand(count, 3, GRAINS, GRAINS, generator=generator, device=device)
    clouds = _enlarged((noise * 2 - 0.5) * 255, photos.shape[2], generator)
    blurred = F.interpolate(photos, size=(COARSE, COARSE), mode="area")
    blurred = _enlarged(F.avg_pool2d(blurred, 3, 1, 1, count_include_pad=False), photos.shape[2], generator)
    mixed = first + (second - first) * _shares(kind, clouds[:, :1] / 127.5 - 1, generator)
    return torch.where(kind == PHOTO, blurred, torch.where(kind == CLOUDS, clouds, mixed)).clamp(0, 255)


def draw_colours(count: int, generator: torch.Generator) -> Tensor:
    """Colours (count, 3, 1, 1) of 0 to 255 and of any hue, more of them strong than pale."""
    hues = torch.rand(count, 3, generator=generator, device=generator.device)
    pure = hues - hues.amin(1, keepdim=True)
    pure = pure / pure.amax(1, keepdim=True).clamp(min=1e-6)
    drawn = torch.rand(count, 2, generator=generator, device=generator.device)
    saturation, value = drawn[:, :1].sqrt(), 1 - 0.8 * drawn[:, 1:].square()
    return (255 * value * (1 - saturation + saturation * pure))[:, :, None, None]


def _shares(kind: Tensor, noise: Tensor, generator: torch.Generator) -> Tensor:
    """How much of the second colour is where, in [0, 1]: `kind` (B, 1, 1, 1), `noise` (B, 1, S, S) around 0."""
    count, _, size, _ = noise.shape
    drawn = torch.rand(4, count, 1, 1, 1, generator=generator, device=noise.device)
    angle = drawn[0] * 2 * math.pi
    along = torch.linspace(-1, 1, size, device=noise.device)
    x, y = along.expand(size, size), along[:, None].expand(size, size)
    across, down = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    waves = math.pi * (WAVES[0] + (WAVES[1] - WAVES[0]) * drawn[1])
    stripes, other = (torch.sin(waves * each + 2 * math.pi * drawn[2]) for each in (across, down))
    sharpness = SHARPNESS[0] * (SHARPNESS[1] / SHARPNESS[0]) ** drawn[3]
    fields = torch.where(kind == STRIPES, stripes, torch.where(kind == CHECKS, stripes * other, noise))
    fields = torch.where(kind == GRADIENT, across, fields * sharpness)
    return (fields / 2 + 0.5).clamp(0, 1) * (kind != PLAIN)


def _enlarged(small: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A random square of each picture (B, C, h, h), smoothly enlarged: (B, C, size, size)."""
    drawn = torch.rand(3, len(small), generator=generator, device=small.device)
    seen = SEEN[0] + (SEEN[1] - SEEN[0]) * drawn[0]
    offset = (drawn[1:] * 2 - 1) * (1 - seen)
    corner = torch.stack([torch.stack([seen, 0 * seen], 1), torch.stack([0 * seen, seen], 1)], 1)
    grid = F.affine_grid(torch.cat([corner, offset.T[:, :, None]], 2), [len(small), 1, size, size], align_corners=False)
    return F.grid_sample(small, grid, mode="bicubic", padding_mode="border", align_corners=False)
