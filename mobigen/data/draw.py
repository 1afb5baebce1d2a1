"""Random draws from a data set that is as long as one likes: indices, on the generator's own device or on the host."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["draw_indices", "host_generator"]


def draw_indices(options: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` indices (count,) below `options`, with repeats, on the device of `generator`."""
    return torch.randint(options, (count,), generator=generator, device=generator.device)


def host_generator(generator: torch.Generator) -> torch.Generator:
    """A generator on the host for what Python decides, so that it need not wait for a GPU to draw.

    On the host it is `generator` itself. Else it is seeded alike and always begins anew: take one a batch.
    """
    if generator.device.type == "cpu":
        return generator
    return torch.Generator().manual_seed(generator.initial_seed())
