"""Ranges of activations: observed on real inputs, or learned by quantisation-aware training, by tensors' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobigen.errors import ExportError
from mobigen.export.flatbuffer import FlatGraph
from mobigen.export.quiet import quiet
from mobigen.quantization.ranges import LearnedLayer, Range

__all__ = ["learned_ranges", "observe_ranges"]

# Where LiteRT has the output channels of a weight; torch has them first.
CHANNELS_FIRST = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2), "FULLY_CONNECTED": (0, 1)}


def observe_ranges(path: Path, calibration: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Range]:
    """The extremes of every float activation over all inputs.

    ai-edge-quantizer's own calibration is a moving average in which the first input outweighs all others.

    Raises:
        ExportError: a tensor is not finite.
    """
    from ai_edge_litert.interpreter import Interpreter

    activations = FlatGraph(path).activations()
    with quiet():  # it warns of the memory that this takes
        interpreter = Interpreter(str(path), experimental_preserve_all_tensors=True)
    run = interpreter.get_signature_runner()
    ranges: dict[str, Range] = {}
    for inputs in calibration:
        run(**inputs)
        for tensor, name in activations.items():
            values = interpreter.get_tensor(tensor)
            low, high = float(values.min()), float(values.max())
            if not (np.isfinite(low) and np.isfinite(high)):
                raise ExportError(f"{path.name}: {name} is not finite on a calibration input; calibrate on real inputs")
            known_low, known_high = ranges.get(name, (low, high))
            ranges[name] = min(low, known_low), max(high, known_high)
    return ranges


def learned_ranges(graph: FlatGraph, learned: Sequence[LearnedLayer]) -> dict[str, Range]:
    """The ranges of layers as those of tensors; a layer is found by its weight, which no converter changes.

    A tensor between two layers is the output of one and the input of the other: the output's range counts.

    Raises:
        ExportError: a layer is not in the graph, or two layers have the same weight.
    """
    layers = {each.weight.tobytes(): each for each in learned}
    if len(layers) < len(learned):
        raise ExportError("two layers have the same weight, so their ranges cannot be told apart; train the network")
    inputs: dict[str, Range] = {}
    outputs: dict[str, Range] = {}
    missing = {each.name for each in learned}
    for operator in graph.operators:
        layer = layers.get(_weight(graph, operator))
        if layer is not None:
            inputs[graph.name(operator.inputs[0])] = layer.ranges.input
            outputs[graph.name(operator.outputs[0])] = layer.ranges.output
            missing.discard(layer.name)
    if missing:
        raise ExportError(
            f"the graph has no operation with the weight of {', '.join(sorted(missing))}; "
            "export the network that the ranges were learned with, or remove its quantization.json"
        )
    return inputs | outputs


def _weight(graph: FlatGraph, operator: Any) -> bytes:
    """The weight of a layer in torch's order of axes; empty if it has none."""
    order = CHANNELS_FIRST.get(graph.kind(operator))
    weight = graph.constant(operator.inputs[1]) if order else None
    return b"" if weight is None else weight.transpose(order).tobytes()
