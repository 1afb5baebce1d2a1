"""Graphs of whole numbers: what is arranged before an all-integer conversion, and proven after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mobigen.errors import ExportError
from mobigen.export.flatbuffer import FlatGraph
from mobigen.quantization.ranges import Range
from mobigen.signature import Signature

__all__ = ["check_integer", "edge_ranges", "fold_clamps"]

CLAMPS = {"RELU_0_TO_1": (0.0, 1.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU6": (0.0, 6.0)}
MOVES = {"RESHAPE", "TRANSPOSE"}  # the quantiser gives their output the range of their input
ARITHMETIC = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL"}  # their output has its own


def fold_clamps(graph: FlatGraph) -> dict[int, Range]:
    """Take out clamps behind arithmetic: integers saturate at the ends of a range, which is a clamp for nothing.

    LiteRT fuses ReLU into layers by itself, but keeps a clamp to [0, 1] as an operation, and the quantiser leaves that
    in float.

    Returns:
        The bounds within which the range of a tensor has to stay, so that nothing is changed.
    """
    bounds: dict[int, Range] = {}
    for clamp in [each for each in graph.operators if graph.kind(each) in CLAMPS]:
        source, result = clamp.inputs[0], clamp.outputs[0]
        *_, head = _way_back(graph, source)
        maker, writer = graph.maker(head), graph.maker(source)
        shared = len(graph.readers(source)) > 1 or source in graph.outputs().values()
        if shared or writer is None or maker is None or graph.kind(maker) not in ARITHMETIC:
            continue
        graph.operators.remove(clamp)
        writer.outputs = [result if each == source else each for each in writer.outputs]
        bounds |= {tensor: CLAMPS[graph.kind(clamp)] for tensor in _way_back(graph, result)}
    return bounds


def _way_back(graph: FlatGraph, tensor: int) -> Iterator[int]:
    """A tensor, and those that it is a moved form of, as long as nothing else reads them."""
    yield tensor
    while (maker := graph.maker(tensor)) is not None and graph.kind(maker) in MOVES:
        tensor = maker.inputs[0]
        if len(graph.readers(tensor)) > 1 or tensor in graph.outputs().values():
            return
        yield tensor


def edge_ranges(graph: FlatGraph, signature: Signature) -> dict[int, Range]:
    """The ranges that a signature states, of the graph's inputs and outputs and of what these are moved forms of."""
    ranges: dict[int, Range] = {}
    for specs, tensors in ((signature.inputs, graph.inputs()), (signature.outputs, graph.outputs())):
        for spec in specs:
            if spec.dtype == "float32" and spec.low is not None and spec.high is not None:
                ranges |= dict.fromkeys(_way_back(graph, tensors[spec.name]), (spec.low, spec.high))
    return ranges


def check_integer(graph: FlatGraph, precision: str, edges: str, bounds: Mapping[str, Range]) -> None:
    """Prove that a quantised graph computes in whole numbers throughout, and still clamps where it did.

    Args:
        graph: the quantised graph.
        precision: its name, for messages.
        edges: the type that its inputs and outputs must have, if they are not int32.
        bounds: of `fold_clamps`, by tensors' names.

    Raises:
        ExportError: an operation is left in float, or a clamp was lost.
    """
    left = {graph.kind(each) for each in graph.operators if _in_float(graph, each)} - {"QUANTIZE", "DEQUANTIZE"}
    if left:
        names = ", ".join(sorted(left))
        raise ExportError(f"{precision} would leave {names} in float; choose int8-static or int8-dynamic")
    found = {graph.type(each) for each in (*graph.inputs().values(), *graph.outputs().values())} - {"INT32", edges}
    if found:
        raise ExportError(f"{precision} has inputs or outputs of {', '.join(sorted(found))}; choose int8-dynamic")
    for tensor in (each for operator in graph.operators for each in operator.outputs):
        meant = bounds.get(graph.name(tensor))
        if meant and not _within(graph.range(tensor), meant):
            raise ExportError(f"{precision} would lose a clamp to [{meant[0]:g}, {meant[1]:g}]; choose int8-static")


def _in_float(graph: FlatGraph, operator: Any) -> bool:
    """Whether an operation computes in float; the changes of type at the edges do not count."""
    tensors = [each for each in (*operator.inputs, *operator.outputs) if each >= 0]
    floats = {each for each in tensors if graph.type(each) in ("FLOAT32", "FLOAT16")}
    edges = {"QUANTIZE": graph.inputs(), "DEQUANTIZE": graph.outputs()}.get(graph.kind(operator), {})
    return bool(floats - set(edges.values()))


def _within(found: Range, bounds: Range) -> bool:
    """To half a step: a range is nudged so that it holds zero."""
    half = (found[1] - found[0]) / 255 / 2
    return found[0] >= bounds[0] - half and found[1] <= bounds[1] + half
