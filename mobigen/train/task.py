"""What the training loop asks of a task; a task knows networks and losses, and nothing of the loop."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

__all__ = ["Loss", "Task"]


class Loss(NamedTuple):
    """A scalar to minimise, and scalars to report."""

    value: Tensor
    parts: dict[str, Tensor]


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
        """The loss of network `turn` on a batch drawn with `generator`, which lives on the training device."""
        ...

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        """Writes the result, `averaged` networks by name, into component folders below `folder`."""
        ...
