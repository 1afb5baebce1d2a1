"""Distils a network from its own float form, by output: quantisation-aware training that needs no labels."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.models.network import Network
from mobigen.quantization.network import Quantization
from mobigen.train.quantize import QuantizationAware
from mobigen.train.task import Loss

__all__ = ["DrawInputs", "OutputDistillation", "distil_for_8_bits"]

DrawInputs = Callable[[int, torch.Generator], dict[str, Tensor]]  # (batch size, generator) -> inputs by name


class OutputDistillation:
    """Loss: the squared error of each output, as a share of the mean square of the teacher's."""

    def __init__(self, network: Network, draw: DrawInputs):
        """The teacher is a copy of `network` as it is now.

        Args:
            network: what is trained; another form of it may take its place in `networks`.
            draw: real inputs, on the generator's device.
        """
        self.networks: dict[str, nn.Module] = {network.component: network}
        self.frozen: dict[str, nn.Module] = {"teacher": copy.deepcopy(network)}
        self.draw, self.names = draw, [spec.name for spec in network.signature().outputs]

    def turn(self, step: int) -> str:
        return next(iter(self.networks))

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        inputs = self.draw(batch_size, generator)
        with torch.no_grad():
            wanted = _outputs(self.frozen["teacher"](**inputs))
        found = _outputs(self.networks[turn](**inputs))
        errors = [_relative_error(mine, theirs) for mine, theirs in zip(found, wanted, strict=True)]
        parts = dict(zip(self.names, (each.detach() for each in errors), strict=True))
        return Loss(torch.stack(errors).mean(), parts)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        network: Any
        for network in averaged.values():
            network.save_component(folder)


def distil_for_8_bits(network: Network, draw: DrawInputs, settings: Quantization | None = None) -> QuantizationAware:
    """The task that brings a trained network's 8-bit form close to its float form. Raises ConfigError.

    Args:
        network: trained; its layers are exchanged in place.
        draw: real inputs, as of `OutputDistillation`.
        settings: what is quantised; convolutions if left out.
    """
    return QuantizationAware(OutputDistillation(network, draw), [network.component], settings)


def _outputs(result: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


def _relative_error(found: Tensor, wanted: Tensor) -> Tensor:
    wanted = wanted.float()
    return F.mse_loss(found.float(), wanted) / wanted.square().mean().clamp(min=1e-12)
