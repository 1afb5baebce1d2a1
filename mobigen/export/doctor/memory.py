"""Activation memory: which tensors live at once, when the operations run in the graph's order.

A tensor lives from the operation that writes it to the last that reads it; inputs live from the start, outputs to the
end, and weights are counted apart. Reshapes share their input's memory. Nothing is fused and nothing is written in
place, so a runtime that does either needs less.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mobigen.export.doctor.graph import Graph, Op, Value

__all__ = ["ROW_BYTES", "SHARING", "Peak", "find_peak", "in_rows", "padding"]

ROW_BYTES = 64  # the Neural Engine pads the last axis of a tensor to so many
FLOAT16 = 2  # bytes, the only float that it computes with
SHARING = {"flatten", "reshape", "squeeze", "unflatten", "unsqueeze", "view", "_unsafe_view"}

Size = Callable[[Value], int]


@dataclass(frozen=True)
class Peak:
    """The moment of the largest sum of tensors alive at once."""

    bytes: int
    op: Op | None  # that runs then; None where nothing needs more than the inputs do


def in_rows(value: Value) -> int:
    """Bytes of a tensor on the Neural Engine: float16, its last axis padded to 64 bytes."""
    width = value.bytes(FLOAT16) // value.numel if value.numel else FLOAT16
    row = math.ceil((value.shape[-1] if value.shape else 1) * width / ROW_BYTES) * ROW_BYTES
    return math.prod(value.shape[:-1]) * row if value.numel else 0


def padding(graph: Graph) -> float:
    """How many times larger the activations become when their rows are padded: 1 is no waste at all."""
    written = [*graph.inputs, *(value for op in graph.ops for value in op.outputs)]
    bare = sum(value.bytes(FLOAT16) for value in written)
    return sum(map(in_rows, written)) / bare if bare else 1.0


def find_peak(graph: Graph, size: Size) -> Peak:
    """The largest sum of the sizes of tensors alive at once."""
    comes: dict[int, int] = defaultdict(int)  # moment -> bytes
    goes: dict[int, int] = defaultdict(int)
    for value, (first, last) in _lives(graph, _storages(graph)).items():
        comes[first] += size(value)
        goes[last] += size(value)
    alive, peak = 0, Peak(sum(map(size, graph.inputs)), None)
    for moment, op in enumerate(graph.ops):
        alive += comes[moment]
        total = alive + sum(map(size, _scratch(op)))
        if total > peak.bytes:
            peak = Peak(total, op)
        alive -= goes[moment]
    return peak


def _storages(graph: Graph) -> dict[Value, Value]:
    """Tensor -> the one whose memory it has."""
    storage = {value: value for value in (*graph.inputs, *graph.constants)}
    for op in graph.ops:
        shared = storage.get(op.inputs[0]) if op.name in SHARING and op.inputs else None
        storage.update({value: shared or value for value in op.outputs})
    return storage


def _lives(graph: Graph, storage: dict[Value, Value]) -> dict[Value, tuple[int, int]]:
    """Storage -> the first and the last moment at which it is needed."""
    born = dict.fromkeys(graph.inputs, 0)
    dies = dict(born)
    for moment, op in enumerate(graph.ops):
        for value in op.outputs:
            born.setdefault(storage[value], moment)
        for value in op.values:
            dies[storage[value]] = moment
    dies.update({storage[value]: len(graph.ops) for value in graph.outputs if storage.get(value) in born})
    return {value: (first, dies[value]) for value, first in born.items() if value.kind != "constant"}


def _scratch(op: Op) -> Sequence[Value]:
    """What an operation needs beside its inputs and outputs: attention writes its scores, then their softmax."""
    if op.name != "scaled_dot_product_attention":
        return ()
    query, key = op.inputs[:2]
    scores = Value("scores", (*query.shape[:-1], key.shape[-2]), query.dtype, "computed")
    return (scores, scores)
