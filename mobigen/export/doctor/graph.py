"""A network as a list of operations on tensors: the traced program without what no phone would execute.

Assertions, casts to the same type, copies and dropout are gone, and so is all that depends on constants alone (a
converter computes it once) or that no output needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

__all__ = ["UNKNOWN", "Graph", "Op", "Value", "read_graph"]

UNKNOWN = -1  # a size known only when the graph runs
WIDTHS = {"bool": 1, "uint8": 1, "int8": 1, "int16": 2, "complex64": 8, "complex128": 16}  # bytes; else 4 on a phone

# What gives its input back, and what reads no more of its input than the shape.
TRANSPARENT = {"alias", "clone", "contiguous", "detach", "detach_", "dropout", "lift_fresh_copy"}
CONSTANT = {"empty_like", "full_like", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like"}


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph.

    Attributes:
        shape: UNKNOWN stands for a size known only when the graph runs.
        dtype: as torch names it, "float32".
        kind: "input", "constant" or "computed".
        largest: the largest magnitude on the example inputs; None if it was not measured.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str
    largest: float | None = None

    @property
    def numel(self) -> int:
        """Numbers in it; 0 if that is not known."""
        return 0 if UNKNOWN in self.shape else math.prod(self.shape)

    @property
    def is_float(self) -> bool:
        return self.dtype.startswith("float")

    def bytes(self, of_float: int = 4) -> int:
        """Its size on a phone, where a float takes `of_float` bytes and a whole number four."""
        return self.numel * (of_float if self.is_float else WIDTHS.get(self.dtype, 4))


@dataclass(frozen=True, eq=False)
class Op:
    """One operation.

    Attributes:
        name: of the aten operation, "conv2d"; in full if it is another library's.
        place: the module that calls it, "blocks.0.attention".
        inputs, outputs: tensors, in order.
        makers: the operation behind each input; None for inputs of the graph and constants.
        read_by: the names of the operations that read its outputs.
        arguments: by the names of the operation's schema, with defaults; tensors as `Value`.
    """

    name: str
    place: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    makers: tuple[Op | None, ...]
    read_by: frozenset[str]
    arguments: Mapping[str, Any]

    @property
    def out(self) -> Value:
        """Its first output."""
        return self.outputs[0]

    @property
    def values(self) -> tuple[Value, ...]:
        """All that it reads and writes."""
        return (*self.inputs, *self.outputs)


@dataclass(frozen=True, eq=False)
class Graph:
    """Operations in the order in which they run."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    constants: tuple[Value, ...]  # weights and other numbers that come with the network, as far as they are read
    ops: tuple[Op, ...]


def read_graph(program: ExportedProgram, largest: Mapping[str, float] | None = None) -> Graph:
    """The graph of a traced network.

    Args:
        program: of `mobigen.export.program.capture`.
        largest: node -> the largest magnitude in it, as `mobigen.export.doctor.magnitudes` measures it.
    """
    return _Reader(program, largest or {}).read()


class _Reader:
    """Walks the nodes once, in their order, keeping what each of them stands for."""

    def __init__(self, program: ExportedProgram, largest: Mapping[str, float]) -> None:
        self.nodes = list(program.graph.nodes)
        self.given = set(program.graph_signature.user_inputs)
        self.results = program.graph.output_node().args[0]
        self.largest = largest
        self.values: dict[Node, Any] = {}  # a Value, or a list of them where a node has several results
        self.makers: dict[Value, Op] = {}

    def read(self) -> Graph:
        ops: list[Op] = []
        for node in self.nodes:
            if node.op == "placeholder":
                self.values[node] = self._value(
                    node, node.meta["val"], "input" if node.name in self.given else "constant"
                )
            elif node.op == "call_function":
                ops += self._read_call(node)
        inputs = [self.values[node] for node in self.nodes if node.op == "placeholder" and node.name in self.given]
        outputs = [self.values[node] for node in self.results]
        ops = _needed(ops, outputs)
        constants = dict.fromkeys(value for op in ops for value in op.inputs if value.kind == "constant")
        return Graph(tuple(inputs), tuple(outputs), tuple(constants), tuple(ops))

    def _read_call(self, node: Node) -> Iterator[Op]:
        """The operation of a node, if it is one that a phone executes."""
        name = _name(node)
        first: Any = node.args[0] if node.args else None
        if name == "getitem":
            self.values[node] = self.values[first][node.args[1]]
            return
        if not _tensors(node.meta.get("val")):
            return  # an assertion, or arithmetic on sizes
        if self._is_transparent(node, name):
            self.values[node] = self.values[first]
            return
        inputs = tuple(self._find(node.args)) + tuple(self._find(node.kwargs))
        constant = name in CONSTANT or all(value.kind == "constant" for value in inputs)
        kind = "constant" if constant else "computed"
        found = node.meta["val"]
        several = isinstance(found, (tuple, list))
        outputs = [self._value(node, each, kind) for each in (found if several else (found,))]
        self.values[node] = outputs if several else outputs[0]
        if constant:
            return
        op = Op(
            name=name,
            place=_place(node),
            inputs=inputs,
            outputs=tuple(outputs),
            makers=tuple(self.makers.get(value) for value in inputs),
            read_by=frozenset(self._readers(node)),
            arguments=self._arguments(node),
        )
        self.makers.update(dict.fromkeys(outputs, op))
        yield op

    def _is_transparent(self, node: Node, name: str) -> bool:
        if name == "to" or name.startswith("_to"):
            source: Any = node.args[0]
            return node.meta["val"].dtype == source.meta["val"].dtype
        return name in TRANSPARENT

    def _readers(self, node: Node) -> Iterator[str]:
        for user in node.users:
            if user.op == "call_function":
                name = _name(user)
                passes = name == "getitem" or (_tensors(user.meta.get("val")) and self._is_transparent(user, name))
                yield from self._readers(user) if passes else (name,)

    def _find(self, argument: Any) -> Iterator[Value]:
        """The tensors in an argument, wherever they are."""
        if isinstance(argument, Node):
            found = self.values.get(argument)
            yield from found if isinstance(found, list) else [found] if found is not None else []
        elif isinstance(argument, Mapping):
            yield from self._find(list(argument.values()))
        elif isinstance(argument, (tuple, list)):
            for each in argument:
                yield from self._find(each)

    def _arguments(self, node: Node) -> dict[str, Any]:
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            return {}
        given = dict(zip((each.name for each in schema.arguments), node.args, strict=False)) | node.kwargs
        filled = {each.name: given.get(each.name, each.default_value) for each in schema.arguments}
        return {key: self.values.get(each) if isinstance(each, Node) else each for key, each in filled.items()}

    def _value(self, node: Node, tensor: torch.Tensor, kind: str) -> Value:
        shape = tuple(size if isinstance(size, int) else UNKNOWN for size in tensor.shape)
        return Value(node.name, shape, str(tensor.dtype).removeprefix("torch."), kind, self.largest.get(node.name))


def _needed(ops: Sequence[Op], outputs: Sequence[Value]) -> list[Op]:
    """The operations that the outputs depend on."""
    wanted, kept = set(outputs), []
    for op in reversed(ops):
        if wanted & set(op.outputs):
            kept.append(op)
            wanted.update(op.inputs)
    return kept[::-1]


def _tensors(found: Any) -> list[torch.Tensor]:
    several = found if isinstance(found, (tuple, list)) else (found,)
    return [each for each in several if isinstance(each, torch.Tensor)]


def _name(node: Node) -> str:
    """conv2d of aten.conv2d.default."""
    if isinstance(node.target, torch._ops.OpOverload):
        library, _, name = node.target._schema.name.partition("::")
        return name if library == "aten" else f"{library}::{name}"
    return getattr(node.target, "__name__", str(node.target))


def _place(node: Node) -> str:
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]).removeprefix("network").removeprefix(".") if stack else ""
