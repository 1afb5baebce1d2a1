"""Other light and other cameras: the colours, tones, sharpness and grain of pictures, each picture its own.

Tones go through curves, channels through a matrix near a turn about the axis of greys: what is meant has to be told by
more than the colours of a thousand photos.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["colour_matrices", "recoloured"]

PALE = 0.1  # share of pictures without colours
TURNED = 0.5  # share of those with other hues
OTHER = 0.08  # what a channel takes of another or loses of itself, at most
SATURATION, CONTRAST, BRIGHTNESS = 0.4, 0.3, 30.0  # changes, at most; the last in levels
CURVED = 0.5  # share of those with other tones
CURVE, OWN_CURVE = 0.6, 0.25  # of all channels of a picture, of each besides; 0.8 moves the middle by 0.2


def recoloured(image: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, S, S, 3) of 0 to 255 in other colours and light, some of them softer or with grain."""
    image = _blurred(_curved(image, generator), generator)
    drawn = torch.rand(2, len(image), 1, 1, generator=generator, device=image.device) * 2 - 1
    contrast = 1 + CONTRAST * drawn[0]
    matrices = colour_matrices(len(image), generator) * contrast
    middle = image.mean((1, 2, 3))[:, None, None] * (1 - contrast) + BRIGHTNESS * drawn[1]
    return (torch.matmul(image.flatten(1, 2), matrices) + middle).reshape(image.shape).clamp(0, 255)


def colour_matrices(count: int, generator: torch.Generator) -> Tensor:
    """Matrices (count, 3, 3) by which rows of RGB are multiplied: greys stay nearly as they are."""
    device = generator.device
    drawn = torch.rand(4, count, 1, 1, generator=generator, device=device)
    turn = drawn[0] * 2 - 1
    angle = math.pi * turn * turn.abs() * (drawn[1] < TURNED)
    saturation = (1 + SATURATION * (drawn[2] * 2 - 1)) * (drawn[3] > PALE)
    same, grey = torch.eye(3, device=device), torch.full((3, 3), 1 / 3, device=device)
    cross = (same.roll(1, 0) - same.roll(-1, 0)) / math.sqrt(3)  # by the unit vector of greys
    own = torch.rand(count, 3, 3, generator=generator, device=device) * 2 - 1
    return grey + saturation * (angle.cos() * (same - grey) + angle.sin() * cross) + OTHER * own * (drawn[3] > PALE)


def _curved(image: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, S, S, 3), half of them with lighter or darker middle tones, in each channel a little differently."""
    drawn = torch.rand(len(image), 1, 1, 5, generator=generator, device=image.device)
    bend = (CURVE * (drawn[..., :1] * 2 - 1) + OWN_CURVE * (drawn[..., 1:4] * 2 - 1)) * (drawn[..., 4:] < CURVED)
    return image + image * (255 - image) * (bend / 255)


def _blurred(image: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, S, S, 3), one in three of them softer and one in three with grain."""
    drawn = torch.rand(2, len(image), 1, 1, 1, generator=generator, device=image.device)
    soft = F.avg_pool2d(image.permute(0, 3, 1, 2), 5, 1, 2, count_include_pad=False).permute(0, 2, 3, 1)
    grain = torch.randn(image.shape, generator=generator, device=image.device)
    softness, strength = (drawn * 3 - 2).clamp(min=0)
    return image + (soft - image) * softness + grain * strength * 12
