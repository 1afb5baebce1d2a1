"""Quantisation-aware training (Jacob et al., arXiv 1712.05877): any task, with networks that compute in 8 bits.

The plain networks come back at the end, with ranges beside their weights, from which the export makes the graph that
was trained: its integers are those of the network in evaluation mode, but for a few that round the other way.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import nn

from mobigen.errors import ConfigError
from mobigen.models.network import Network
from mobigen.quantization.network import Quantization, quantize_layers, restore_layers
from mobigen.quantization.ranges import write_ranges
from mobigen.train.task import Loss, Task

__all__ = ["QuantizationAware"]


class QuantizationAware:
    """A task whose chosen components learn with fake-quantised layers; all else is the task's own.

    Begin from trained weights, with a tenth of their learning rate or less.
    """

    def __init__(self, task: Task, components: Iterable[str], settings: Quantization | None = None):
        """Exchange layers of the task's networks, in place.

        Args:
            task: any; networks that it holds inside others are found.
            components: those of its networks to train for 8 bits.
            settings: what is quantised; convolutions if left out.

        Raises:
            ConfigError: the task does not train one network of such a component, or it cannot be quantised.
        """
        self.task = task
        self.networks, self.frozen = task.networks, task.frozen  # the loop wraps them in place, so they are shared
        self.components = tuple(components)
        found = list(_components(self.networks.values()))
        for name in self.components:
            chosen = [each for each in found if each.component == name]
            if len(chosen) != 1:
                names = ", ".join(each.component for each in found) or "none"
                raise ConfigError(f"the task trains {len(chosen)} networks of {name!r}, one is needed; it has {names}")
            quantize_layers(chosen[0], settings or Quantization())

    def turn(self, step: int) -> str:
        return self.task.turn(step)

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        return self.task.loss(turn, batch_size, generator)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        """What the task saves, of plain networks, and their ranges."""
        plain = {name: copy.deepcopy(network) for name, network in averaged.items()}
        ranges = {each.component: restore_layers(each) for each in _components(plain.values())}
        self.task.save(plain, folder)
        for name in self.components:
            write_ranges(folder / name, ranges[name])


def _components(modules: Iterable[nn.Module]) -> Iterator[Network]:
    for module in modules:
        yield from (each for each in module.modules() if isinstance(each, Network))
