"""The straight path from data to noise, and how training draws times on it.

x_t = (1 - t) x_0 + t noise and velocity = noise - x_0 (Lipman et al., arXiv 2210.02747; Liu et al., arXiv 2209.03003).
Every function takes times (B,) and broadcasts them over maps (B, C, H, W).
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["clean_estimate", "guide", "interpolate", "logit_normal_times", "noise_like", "shifted_times"]


def _wide(time: Tensor, like: Tensor) -> Tensor:
    return time.reshape(-1, *[1] * (like.ndim - 1))


def interpolate(clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """x_t of a pair (clean, noise)."""
    wide = _wide(time, clean)
    return (1 - wide) * clean + wide * noise


def clean_estimate(noisy: Tensor, velocity: Tensor, time: Tensor) -> Tensor:
    """x_0 = x_t - t velocity."""
    return noisy - _wide(time, noisy) * velocity


def guide(conditional: Tensor, unconditional: Tensor, scale: float | Tensor) -> Tensor:
    """Classifier-free guidance (Ho and Salimans, arXiv 2207.12598): 0 leaves out the conditions, 1 changes nothing."""
    return unconditional + scale * (conditional - unconditional)


def logit_normal_times(count: int, generator: torch.Generator, mean: float = 0.0, deviation: float = 1.0) -> Tensor:
    """Times (count,) in (0, 1) whose logits are normal (Esser et al., arXiv 2403.03206, eq. 19).

    They are on the generator's device.
    """
    normal = torch.randn(count, generator=generator, device=generator.device)
    return torch.sigmoid(mean + deviation * normal)


def shifted_times(steps: int, shift: float) -> list[float]:
    """`steps` + 1 times from 1 to 0, closer together near 1 where shapes are decided.

    t' = shift t / (1 + (shift - 1) t) of even t (Esser et al., arXiv 2403.03206, eq. 23).
    """
    even = [1 - index / steps for index in range(steps + 1)]
    return [shift * time / (1 + (shift - 1) * time) for time in even]


def noise_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Unit normal noise of the shape, type and device of `x`."""
    return torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
