"""Precisions: a float32 .tflite -> a smaller one. The only file that imports ai_edge_quantizer."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobigen.errors import ExportError, MissingExtraError
from mobigen.export.flatbuffer import FlatGraph, compact
from mobigen.export.integer import check_integer, edge_ranges, fold_clamps
from mobigen.export.program import first_line
from mobigen.export.quiet import quiet
from mobigen.export.ranges import learned_ranges, observe_ranges
from mobigen.quantization.ranges import LearnedLayer, Range
from mobigen.runtime.byte_edges import byte_signature
from mobigen.signature import Signature

__all__ = ["BYTES_AT_EDGES", "PRECISIONS", "check_precision", "needs_calibration", "quantize"]

Arrays = Mapping[str, np.ndarray]

# What becomes of the weights of each kind of operation:
#   half     stored in float16, computed in float32
#   weights  stored in int8 with a scale a channel, computed in float32
#   mixed    weights, but half where a layer widens WIDENING times or more: what it rounds goes into all that follows
#   dynamic  stored in int8, computed in int8, the range of the activations taken as the graph runs
#   static   stored in int8, computed in int8, the range of the activations fixed by calibration
# Depthwise convolutions are never dynamic: XNNPACK has no such kernel and the graph falls apart around them.
# "*" is every operation; one that has no int8 form is then an error. int4 is left out: it loses 20 dB more than int8
# and runs at a fifth to a half of float32's speed.
EVERY = "*"
PRECISIONS: dict[str, dict[str, str]] = {
    "float32": {},
    "float16": {
        "FULLY_CONNECTED": "half",
        "CONV_2D": "half",
        "DEPTHWISE_CONV_2D": "half",
        "EMBEDDING_LOOKUP": "half",
    },
    "int8-weights": {
        "FULLY_CONNECTED": "weights",
        "CONV_2D": "weights",
        "DEPTHWISE_CONV_2D": "weights",
        "EMBEDDING_LOOKUP": "weights",
    },
    "int8-mixed": {
        "FULLY_CONNECTED": "mixed",
        "CONV_2D": "weights",
        "DEPTHWISE_CONV_2D": "weights",
        "EMBEDDING_LOOKUP": "weights",
    },
    "int8-dynamic": {
        "FULLY_CONNECTED": "dynamic",
        "CONV_2D": "dynamic",
        "DEPTHWISE_CONV_2D": "weights",
        "EMBEDDING_LOOKUP": "weights",
    },
    "int8-static": {
        "FULLY_CONNECTED": "dynamic",
        "CONV_2D": "static",
        "DEPTHWISE_CONV_2D": "weights",
        "EMBEDDING_LOOKUP": "weights",
    },
    "int8-full": {EVERY: "static"},  # float32 at the edges
    "uint8-full": {EVERY: "static"},  # bytes at the edges, for the range that the signature states
}
BYTES_AT_EDGES = "uint8-full"
WEIGHTS = {  # in each way, as a .tflite names types
    "half": {"FLOAT16"}, "weights": {"INT8"}, "mixed": {"INT8", "FLOAT16"}, "dynamic": {"INT8"}, "static": {"INT8"},
}  # fmt: skip
WIDENING = 4


def check_precision(precision: str) -> None:
    """Raises ExportError that lists the accepted names."""
    if precision not in PRECISIONS:
        raise ExportError(f"there is no precision {precision!r}; accepted: {', '.join(PRECISIONS)}")


def needs_calibration(precision: str) -> bool:
    """Whether `quantize` wants real inputs for this precision."""
    return "static" in PRECISIONS[precision].values()


def quantize(
    source: Path,
    target: Path,
    precision: str,
    calibration: Sequence[Arrays] = (),
    signature: Signature | None = None,
    learned: Sequence[LearnedLayer] = (),
) -> None:
    """Write a graph with its weights, or its arithmetic, in another precision.

    Args:
        source: a float32 .tflite file with one signature.
        target: the .tflite file to write; it appears whole or not at all.
        precision: a name of PRECISIONS other than "float32".
        calibration: real inputs by name, if `needs_calibration(precision)`.
        signature: of the network. Ranges that it states are taken as they are by int8-full and uint8-full; the latter
            needs one for every float32 tensor, and writes a graph that has `byte_signature(signature)`.
        learned: layers with the ranges of quantisation-aware training, which go before the observed ones.

    Raises:
        ExportError: there is no such precision, calibration or a stated range is missing, learned layers are not in
            the graph, weights stayed wider than asked, or a full precision would leave an operation in float.
        MissingExtraError: ai-edge-quantizer is not installed.
    """
    check_precision(precision)
    if needs_calibration(precision) and not calibration:
        raise ExportError(f"{precision} needs calibration inputs; give some, or choose int8-dynamic")
    if precision == BYTES_AT_EDGES:
        if signature is None:
            raise ExportError(f"{precision} needs the signature, which states what bytes stand for; give it")
        byte_signature(signature)  # raises if it does not
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, quiet():
        narrow = Path(scratch, target.name)
        try:
            if EVERY in PRECISIONS[precision]:
                _quantize_all(source, narrow, precision, calibration, signature, learned)
            else:
                _quantize_layers(source, narrow, precision, calibration, learned)
        except (ExportError, MissingExtraError):
            raise
        except Exception as error:  # the quantizer raises whatever its parts raise
            raise ExportError(f"{source.name} cannot be written in {precision}: {first_line(error)}") from error
        compact(narrow)
        _check_weights(narrow, precision)
        _check_runs(narrow, precision)
        narrow.chmod(0o644)  # the quantizer leaves it executable
        narrow.replace(target)


def _quantize_layers(
    source: Path, target: Path, precision: str, calibration: Sequence[Arrays], learned: Sequence[LearnedLayer]
) -> None:
    ranges: dict[str, Range] = {}
    if needs_calibration(precision):
        ranges = observe_ranges(source, calibration) | learned_ranges(FlatGraph(source), learned)
    _run_quantizer(source, target, precision, ranges)


def _quantize_all(
    source: Path,
    target: Path,
    precision: str,
    calibration: Sequence[Arrays],
    signature: Signature | None,
    learned: Sequence[LearnedLayer],
) -> None:
    """Every operation in whole numbers, or an ExportError."""
    graph = FlatGraph(source)
    bounds = {graph.name(tensor): each for tensor, each in fold_clamps(graph).items()}
    ranges = observe_ranges(source, calibration) | learned_ranges(graph, learned)
    if signature is not None:
        ranges |= {graph.name(tensor): each for tensor, each in edge_ranges(graph, signature).items()}
    for name, (low, high) in bounds.items():
        ranges[name] = max(low, ranges[name][0]), min(high, ranges[name][1])
    folded = target.with_name(f"folded-{target.name}")
    graph.write(folded)
    _run_quantizer(folded, target, precision, ranges)
    edges = "UINT8" if precision == BYTES_AT_EDGES else "FLOAT32"
    check_integer(FlatGraph(target), precision, edges, bounds)


def _run_quantizer(source: Path, target: Path, precision: str, ranges: Mapping[str, Range]) -> None:
    try:
        from ai_edge_quantizer.quantizer import Quantizer  # here, because it takes a second and prints
    except ImportError as error:
        raise MissingExtraError("quantisation needs: pip install 'mobigen[export]'") from error
    observed = {
        name: {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
        for name, (low, high) in ranges.items()
    }
    Quantizer(str(source), _recipe(precision, FlatGraph(source))).quantize(observed or None).export_model(str(target))


def _recipe(precision: str, graph: FlatGraph) -> list[dict[str, Any]]:
    """The precision in the quantizer's own words."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.recipe_manager import RecipeManager

    half = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    unsigned = qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=8, symmetric=False, dtype=qtyping.TensorDataType.UINT
        ),
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=8),
        compute_precision=qtyping.ComputePrecision.INTEGER,
    )
    manager = RecipeManager()
    for operation, way in PRECISIONS[precision].items():
        kind = qtyping.TFLOperationName(operation)
        if way == "half":
            manager.add_quantization_config(".*", kind, half, AlgorithmName.FLOAT_CASTING)
        elif way in ("weights", "mixed"):
            manager.add_weight_only_config(".*", kind, num_bits=8)
            for name in _widening(graph, operation) if way == "mixed" else ():
                manager.add_quantization_config(re.escape(name), kind, half, AlgorithmName.FLOAT_CASTING)
        elif way == "dynamic":
            manager.add_dynamic_config(".*", kind, num_bits=8)
        else:
            manager.add_static_config(".*", kind, activation_num_bits=8, weight_num_bits=8)
    if EVERY in PRECISIONS[precision]:
        for edge in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            if precision == BYTES_AT_EDGES:
                manager.add_quantization_config(".*", edge, unsigned)
            else:
                manager.add_quantization_config(".*", edge, None, AlgorithmName.NO_QUANTIZE)
    return manager.get_quantization_recipe()


def _widening(graph: FlatGraph, operation: str) -> Iterator[str]:
    """The results of the layers that have WIDENING times as many outputs as inputs, or more."""
    for operator in graph.operators:
        weights = graph.constant(operator.inputs[1]) if graph.kind(operator) == operation else None
        if weights is not None and weights.shape[0] >= WIDENING * weights.shape[1]:
            yield graph.name(operator.outputs[0])


def _check_weights(path: Path, precision: str) -> None:
    """The quantizer passes over what it cannot do; here that is a failure. Raises ExportError."""
    ways = PRECISIONS[precision]
    for operation, type_name in _weights(path):
        if type_name not in WEIGHTS[ways.get(operation) or ways[EVERY]]:
            raise ExportError(f"{precision} left the weights of a {operation} in {type_name}; choose another precision")


def _check_runs(path: Path, precision: str) -> None:
    """Not all that the quantizer writes can be run: XNNPACK refuses scales that are too far apart, say."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        Interpreter(str(path)).allocate_tensors()
    except (RuntimeError, ValueError) as error:
        what = first_line(error)
        raise ExportError(f"LiteRT cannot run {path.name} in {precision}: {what}; choose another precision") from error


def _weights(path: Path) -> Iterator[tuple[str, str]]:
    """(operation, type) of every constant second input of the operations that PRECISIONS speaks of."""
    graph = FlatGraph(path)
    for operator in graph.operators:
        if graph.kind(operator) not in PRECISIONS["float16"]:
            continue
        tensor = operator.inputs[1]
        maker = graph.maker(tensor)
        if maker is not None:  # the constant is behind a DEQUANTIZE
            tensor = maker.inputs[0]
        if graph.is_constant(tensor):
            yield graph.kind(operator), graph.type(tensor)
