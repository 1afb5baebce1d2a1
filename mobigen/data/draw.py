"""Random draws from a data set that is as long as one likes: indices, on the generator's own device or on the host.

And the constants that draws need, kept where they are needed.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from mobigen.errors import ConfigError

__all__ = ["constant", "draw_indices", "host_generator"]


@cache
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """`values` as float32 (N,), copied to the device once: a step that is a CUDA graph cannot copy them."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def draw_indices(options: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` indices (count,) below `options`, with repeats, on the device of `generator`."""
    return torch.randint(options, (count,), generator=generator, device=generator.device)


def host_generator(generator: torch.Generator) -> torch.Generator:
    """A generator on the host for what Python decides, so that it need not wait for a GPU to draw.

    On the host it is `generator` itself. Else it is seeded alike and always begins anew: take one a batch.

    Raises:
        ConfigError: a CUDA graph is being captured, which would decide alike for ever.
    """
    if generator.device.type == "cpu":
        return generator
    if torch.cuda.is_current_stream_capturing():
        raise ConfigError("these batches are decided on the host, so the step cannot be a graph; leave out cuda_graphs")
    return torch.Generator().manual_seed(generator.initial_seed())
