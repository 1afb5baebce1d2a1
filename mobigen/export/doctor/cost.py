"""Multiply-accumulates of an operation, by the formula of each kind; what only adds or compares counts as none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from mobigen.export.doctor.graph import Graph, Op

__all__ = ["count_macs", "total_macs"]


def count_macs(op: Op) -> int:
    """Multiply-accumulates of one operation."""
    return FORMULAS[op.name](op) if op.name in FORMULAS else 0


def total_macs(graph: Graph) -> int:
    """Of one run of the graph."""
    return sum(map(count_macs, graph.ops))


def _convolution(op: Op) -> int:
    """Each output sums over a kernel and the input channels of its group; `weight` is (out, in / groups, *kernel)."""
    return op.out.numel * math.prod(op.inputs[1].shape[1:])


def _transposed_convolution(op: Op) -> int:
    """Each input is spread over a kernel and the output channels of its group; `weight` is (in, out / groups, ...)."""
    return op.inputs[0].numel * math.prod(op.inputs[1].shape[1:])


def _linear(op: Op) -> int:
    """Each output sums over the features; `weight` is (out, in)."""
    return op.out.numel * op.inputs[1].shape[-1]


def _matmul(op: Op) -> int:
    return op.out.numel * op.inputs[0].shape[-1]


def _added_matmul(op: Op) -> int:
    """addmm and baddbmm: the first input is what the product is added to."""
    return op.out.numel * op.inputs[1].shape[-1]


def _einsum(op: Op) -> int:
    """The product over all letters of the equation, once for each operand after the first."""
    letters = str(op.arguments["equation"]).replace(" ", "").partition("->")[0].split(",")
    sizes = {
        letter: size
        for term, value in zip(letters, op.inputs, strict=True)
        for letter, size in zip(term, value.shape, strict=True)
    }
    return math.prod(sizes.values()) * (len(letters) - 1)


def _attention(op: Op) -> int:
    """Scores from queries and keys (..., n, d) x (..., m, d), then their product with the values (..., m, e)."""
    query, key = op.inputs[:2]
    scores = math.prod(query.shape[:-1]) * key.shape[-2]
    return scores * query.shape[-1] + op.out.numel * key.shape[-2]


def _recurrent(op: Op) -> int:
    """Every matrix of the cell is applied at every step to every sample."""
    steps = math.prod(op.inputs[0].shape[:-1])
    return steps * sum(value.numel for value in op.inputs if value.kind == "constant" and len(value.shape) == 2)


FORMULAS: Mapping[str, Callable[[Op], int]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed_convolution),
    **dict.fromkeys(("matmul", "mm", "bmm"), _matmul),
    **dict.fromkeys(("addmm", "baddbmm"), _added_matmul),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
    "linear": _linear,
    "einsum": _einsum,
    "scaled_dot_product_attention": _attention,
}
