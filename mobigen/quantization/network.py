"""A network as its 8-bit graph will compute it: its layers exchanged for fake-quantised ones, and exchanged back."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from mobigen.errors import ConfigError
from mobigen.models.network import Network
from mobigen.nn.fake_quant import ActivationRange, QuantizedLayer
from mobigen.quantization.layers import KINDS, LayerPlan, kind_of, plan_layers
from mobigen.quantization.ranges import LayerRanges, Range

__all__ = ["Quantization", "quantize_layers", "quantized_copy", "restore_layers"]

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


@dataclass(frozen=True)
class Quantization:
    """What is quantised, and how ranges are learned (as `ActivationRange` says).

    The weights of all KINDS of layers are, and the activations of the kinds in `static`: ("conv",) is what the
    precision int8-static computes, KINDS what int8-full does, () what int8-weights and int8-dynamic do.

    Raises:
        ConfigError: a kind that is not in KINDS, or a number that cannot work.
    """

    static: tuple[str, ...] = ("conv",)
    decay: float = 0.99
    delay: int = 0  # training passes before activations are quantised
    freeze: int | None = None  # training passes after which ranges stay

    def __post_init__(self) -> None:
        unknown = sorted(set(self.static) - set(KINDS))
        if unknown:
            raise ConfigError(f"static layers {', '.join(unknown)}; accepted: {', '.join(KINDS)}")
        if not 0 <= self.decay < 1 or self.delay < 0:
            raise ConfigError(f"decay {self.decay}, delay {self.delay}; accepted: from 0 to below 1, and at least 0")
        if self.freeze is not None and self.freeze < 1:
            raise ConfigError(f"freeze {self.freeze}; accepted: at least 1 pass, or None for never")

    def new_range(self, fixed: Range | None) -> ActivationRange:
        """A range that is to be learned, or the one that is known."""
        return ActivationRange(self.decay, self.delay, self.freeze, fixed)


def quantized_copy(network: AnyNetwork, settings: Quantization | None = None) -> AnyNetwork:
    """A copy that computes as the 8-bit graph will. Raises ConfigError as `quantize_layers` does."""
    quantized = copy.deepcopy(network)
    quantize_layers(quantized, settings or Quantization())
    return quantized


def quantize_layers(network: Network, settings: Quantization) -> None:
    """Put fake-quantised layers in the place of a network's own; the parameters stay the same objects.

    Raises:
        ConfigError: the network cannot be traced, has nothing to quantise, or has a batch norm that is not folded.
    """
    layers = {name: module for name, module in network.named_modules() if kind_of(module)}
    if not layers:
        raise ConfigError(f"{network.component} has no layer to quantise; they are of the kinds {', '.join(KINDS)}")
    plans = plan_layers(network, [name for name, module in layers.items() if kind_of(module) in settings.static])
    quantized = {layer: _quantized(layer, plans.get(name), settings) for name, layer in layers.items()}
    _exchange(network, {layer: module.train(layer.training) for layer, module in quantized.items()})


def restore_layers(network: Network) -> dict[str, LayerRanges]:
    """Put a network's own layers back.

    Returns:
        The ranges that were learned, by the layer's name.

    Raises:
        ConfigError: a range was never observed, because no training pass was made.
    """
    quantized = {name: module for name, module in network.named_modules() if isinstance(module, QuantizedLayer)}
    outputs = {name: _learned(name, module.after) for name, module in quantized.items() if module.after}
    ranges = {}
    for name, output in outputs.items():
        before = quantized[name].before
        ranges[name] = LayerRanges(_learned(name, before) if before else outputs[quantized[name].source], output)
    _exchange(network, {module: module.layer for module in quantized.values()})
    return ranges


def _quantized(layer: nn.Module, plan: LayerPlan | None, settings: Quantization) -> QuantizedLayer:
    """Without a plan, only the weights are."""
    if plan is None:
        return QuantizedLayer(layer)
    before = None if plan.source else settings.new_range(plan.input)
    return QuantizedLayer(layer, before, plan.bounds, settings.new_range(plan.output), plan.source or "")


def _exchange(network: nn.Module, others: Mapping[nn.Module, nn.Module]) -> None:
    """Put modules in the place of others wherever those are held; a layer may be held twice."""
    for parent in list(network.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and child in others:
                setattr(parent, name, others[child])


def _learned(name: str, activation: ActivationRange) -> Range:
    if not activation.fixed and not activation.passes:
        raise ConfigError(f"the range of {name} was never observed; train the quantised network before restoring it")
    return float(activation.low), float(activation.high)
