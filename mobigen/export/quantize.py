"""Precisions: a float32 .tflite -> a smaller one. The only file that imports ai_edge_quantizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobigen.errors import ExportError, MissingExtraError
from mobigen.export.program import first_line
from mobigen.export.quiet import quiet

__all__ = ["PRECISIONS", "check_precision", "needs_calibration", "quantize"]

Arrays = Mapping[str, np.ndarray]

# What becomes of the weights of each kind of operation:
#   half     stored in float16, computed in float32
#   weights  stored in int8 with a scale a channel, computed in float32
#   dynamic  stored in int8, computed in int8, the range of the activations taken as the graph runs
#   static   stored in int8, computed in int8, the range of the activations fixed by calibration
# Depthwise convolutions are never dynamic: XNNPACK has no such kernel and the graph falls apart around them.
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
}
WIDEST_WEIGHT = {
    "half": "FLOAT16",
    "weights": "INT8",
    "dynamic": "INT8",
    "static": "INT8",
}  # as a .tflite names types


def check_precision(precision: str) -> None:
    """Raises ExportError that lists the accepted names."""
    if precision not in PRECISIONS:
        raise ExportError(f"there is no precision {precision!r}; accepted: {', '.join(PRECISIONS)}")


def needs_calibration(precision: str) -> bool:
    """Whether `quantize` wants real inputs for this precision."""
    return "static" in PRECISIONS[precision].values()


def quantize(source: Path, target: Path, precision: str, calibration: Sequence[Arrays] = ()) -> None:
    """Write a graph with its weights, or its arithmetic, in another precision.

    Args:
        source: a float32 .tflite file with one signature.
        target: the .tflite file to write.
        precision: a name of PRECISIONS other than "float32".
        calibration: real inputs by name, if `needs_calibration(precision)`.

    Raises:
        ExportError: there is no such precision, calibration is missing, or weights stayed wider than asked.
        MissingExtraError: ai-edge-quantizer is not installed.
    """
    check_precision(precision)
    if needs_calibration(precision) and not calibration:
        raise ExportError(f"{precision} needs calibration inputs; give some, or choose int8-dynamic")
    with quiet():
        try:
            from ai_edge_quantizer.quantizer import Quantizer  # here, because it takes a second and prints
        except ImportError as error:
            raise MissingExtraError("quantisation needs: pip install 'mobigen[export]'") from error
        try:
            quantizer = Quantizer(str(source), _recipe(precision))
            ranges = quantizer.calibrate(_by_signature(source, calibration)) if needs_calibration(precision) else None
            quantizer.quantize(ranges).export_model(str(target), overwrite=True)
        except Exception as error:  # the quantizer raises whatever its parts raise
            raise ExportError(f"{source.name} cannot be written in {precision}: {first_line(error)}") from error
    target.chmod(0o644)  # the quantizer leaves it executable
    _check_weights(target, precision)


def _recipe(precision: str) -> list[dict[str, Any]]:
    """The precision in the quantizer's own words."""
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithm_manager import AlgorithmName
    from ai_edge_quantizer.recipe_manager import RecipeManager

    half = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    manager = RecipeManager()
    for operation, way in PRECISIONS[precision].items():
        kind = qtyping.TFLOperationName[operation]
        if way == "half":
            manager.add_quantization_config(".*", kind, half, AlgorithmName.FLOAT_CASTING)
        elif way == "weights":
            manager.add_weight_only_config(".*", kind, num_bits=8)
        elif way == "dynamic":
            manager.add_dynamic_config(".*", kind, num_bits=8)
        else:
            manager.add_static_config(".*", kind, activation_num_bits=8, weight_num_bits=8)
    return manager.get_quantization_recipe()


def _by_signature(source: Path, calibration: Sequence[Arrays]) -> dict[str, list[dict[str, np.ndarray]]]:
    from ai_edge_litert.interpreter import Interpreter

    (signature,) = Interpreter(str(source)).get_signature_list()
    return {signature: [dict(inputs) for inputs in calibration]}


def _check_weights(path: Path, precision: str) -> None:
    """The quantizer passes over what it cannot do; here that is a failure. Raises ExportError."""
    for operation, type_name in _weights(path):
        if type_name != WIDEST_WEIGHT[PRECISIONS[precision][operation]]:
            raise ExportError(f"{precision} left the weights of a {operation} in {type_name}; choose another precision")


def _weights(path: Path) -> Iterator[tuple[str, str]]:
    """(operation, type) of every constant second input of the operations that PRECISIONS speaks of."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    operations = {getattr(schema.BuiltinOperator, name): name for name in PRECISIONS["float16"]}
    types = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
    model = flatbuffer_utils.read_model(str(path))
    graph = model.subgraphs[0]
    makers = {output: operator for operator in graph.operators for output in operator.outputs}
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code not in operations:
            continue
        index = operator.inputs[1]
        if index in makers:  # the constant is behind a DEQUANTIZE
            index = makers[index].inputs[0]
        if index not in makers and index not in graph.inputs:
            yield operations[code], types[graph.tensors[index].type]
