"""How phone photos become small and worse: blur, reduction, sensor noise and JPEG, as much as happens to real ones.

One pass in this order, each strength drawn anew for every picture; the idea is Real-ESRGAN's (arXiv 2107.10833), whose
two passes with stronger ranges teach a network to paint over what it sees, faces and letters too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.data.draw import draw_indices
from mobigen.data.jpeg import compress
from mobigen.data.resize import resize

__all__ = ["add_noise", "blur", "degrade", "shrink"]

SPREAD = (0.1, 0.6)  # deviation of the blur along each axis, in pixels of the small picture
READ_NOISE = (0.0, 6.0)  # deviation in the dark, in levels of 255
SHOT_NOISE = (0.0, 0.6)  # variance a level of brightness, in levels
QUALITY = (40.0, 98.0)  # of the JPEG
TAPS = 21  # of the largest blur, odd


def degrade(large: Tensor, scale: int, generator: torch.Generator) -> Tensor:
    """RGB (B, 3, scale * h, scale * w) in [0, 1] -> (B, 3, h, w), in steps of 1/255."""
    count = len(large)
    spread = _uniform(SPREAD, (count, 2), generator) * scale
    angle = _uniform((0.0, math.pi), (count,), generator)
    small = shrink(blur(large, spread, angle), scale, draw_indices(len(WAYS), count, generator))
    read, shot = (_uniform(span, (count,), generator) / 255 for span in (READ_NOISE, SHOT_NOISE))
    noisy = add_noise(small.clamp(0, 1), read, shot, generator)
    return compress(noisy.clamp(0, 1), _uniform(QUALITY, (count,), generator).round())


def _uniform(span: Sequence[float], shape: Sequence[int], generator: torch.Generator) -> Tensor:
    low, high = span
    return low + (high - low) * torch.rand(*shape, generator=generator, device=generator.device)


def blur(images: Tensor, spread: Tensor, angle: Tensor) -> Tensor:
    """Each of (B, C, H, W) by a Gaussian of deviations `spread` (B, 2) in pixels, turned by `angle` (B,)."""
    count, channels, height, _ = images.shape
    steps = torch.arange(TAPS, device=images.device) - TAPS // 2
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along, across = (x * cosine + y * sine), (y * cosine - x * sine)
    kernel = torch.exp(-((along / spread[:, :1, None]) ** 2 + (across / spread[:, 1:, None]) ** 2) / 2)
    kernel = (kernel / kernel.sum((1, 2), keepdim=True))[:, None].repeat_interleave(channels, dim=0)
    padded = F.pad(images, (TAPS // 2,) * 4, mode="reflect").reshape(1, count * channels, height + TAPS - 1, -1)
    return F.conv2d(padded, kernel, groups=count * channels).reshape(images.shape)


def _bicubic(large: Tensor, scale: int) -> Tensor:
    return resize(large, large.shape[2] // scale, large.shape[3] // scale)


def _bilinear(large: Tensor, scale: int) -> Tensor:
    return F.interpolate(large, scale_factor=1 / scale, mode="bilinear", antialias=True)


WAYS = (_bicubic, _bilinear, F.avg_pool2d)


def shrink(large: Tensor, scale: int, ways: Tensor) -> Tensor:
    """(B, C, scale * h, scale * w) -> (B, C, h, w), each by one of `ways` (B,): bicubic (0), bilinear (1), area (2)."""
    small = torch.stack([way(large, scale) for way in WAYS])  # (3, B, C, h, w)
    return small[ways, torch.arange(len(large), device=large.device)]


def add_noise(images: Tensor, read: Tensor, shot: Tensor, generator: torch.Generator) -> Tensor:
    """Normal noise of variance read^2 + shot * brightness for each of (B, C, H, W) in [0, 1]; `read`, `shot` (B,)."""
    variance = read.square()[:, None, None, None] + shot[:, None, None, None] * images
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + variance.sqrt() * noise
