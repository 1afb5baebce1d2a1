"""Random draws from a data set that is as long as one likes: indices, on the generator's own device."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["draw_indices"]


def draw_indices(options: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` indices (count,) below `options`, with repeats, on the device of `generator`."""
    return torch.randint(options, (count,), generator=generator, device=generator.device)
