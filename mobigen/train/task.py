"""What the training loop asks of a task; a task knows networks and losses, and nothing of the loop."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["Loss", "Task", "bare"]


class Loss(NamedTuple):
    """A scalar to minimise, and scalars to report."""

    value: Tensor
    parts: dict[str, Tensor]


def bare(network: nn.Module) -> nn.Module:
    """`network` without the wrapper that keeps several processes in step.

    For what only one process may do by itself: passes whose gradients are not this turn's, and reading parameters.
    """
    return network.module if isinstance(network, DistributedDataParallel) else network


class Task(Protocol):
    """A thing to train.

    Attributes:
        networks: what is trained, by name, each with an optimiser of its own. The loop moves and wraps them in place.
        frozen: what is only evaluated; the loop moves it to the device.
    """

    networks: dict[str, nn.Module]
    frozen: dict[str, nn.Module]

    def turn(self, step: int) -> str:
        """The name of the network that learns at `step`."""
        ...

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        """The loss of network `turn` on a batch drawn with `generator`, which lives on the training device.

        Network `turn` is called once with gradients, as `self.networks[turn]`; every other pass is through `bare`.
        """
        ...

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        """Writes the result, `averaged` networks by name, into component folders below `folder`."""
        ...
