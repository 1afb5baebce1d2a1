"""How a construct that a converter gets wrong is cured: its node calls other operations, and the graph is traced anew.

`ExportedProgram.run_decompositions` would be the plain way, but it loses the constants that a replacement brings (a
resizing matrix, a mask), and it replaces every node of an operation, also those that a converter does best as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

__all__ = ["Cure", "Decompositions", "Table", "cure", "decompose"]


def always(*arguments: Any, **options: Any) -> bool:
    """Every node of the operation."""
    return True


class Cure(NamedTuple):
    """What to call instead of an operation, and which of its nodes need it; both take the operation's own arguments."""

    replacement: Callable[..., Any]
    needed: Callable[..., bool] = always


Table = Mapping[torch._ops.OpOverload, Cure]
Decompositions = Mapping[torch._ops.OperatorBase, Callable[..., Any]]


def cure(program: ExportedProgram, table: Table) -> ExportedProgram:
    """The same function in operations that a converter translates rightly; the program itself if it needs no cure."""
    if any(_mutates(node) for node in program.graph.nodes):  # `x += y` is another operation than `x + y`
        program = decompose(program, {})
    if not any(_needs(node, table) for node in program.graph.nodes):
        return program
    module = program.module()
    for node in module.graph.nodes:
        if _needs(node, table):
            node.target = table[node.target].replacement
    module.recompile()
    arguments, inputs = program.example_inputs
    return torch.export.export(module, arguments, inputs, strict=False)


def decompose(program: ExportedProgram, decompositions: Decompositions) -> ExportedProgram:
    """`run_decompositions`, without the warnings of torch about itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return program.run_decompositions(dict(decompositions))


def _mutates(node: Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _needs(node: Node, table: Table) -> bool:
    """Whether a node is of an operation of the table, with arguments that need the cure."""
    if not isinstance(node.target, torch._ops.OpOverload) or node.target not in table:
        return False
    arguments, options = map_arg((node.args, node.kwargs), lambda each: each.meta["val"])
    return table[node.target].needed(*arguments, **options)
