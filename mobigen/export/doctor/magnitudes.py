"""How large the numbers in a graph become, measured by running it once on its example inputs.

float16 ends at 65504. A static look at a graph cannot tell which of its sums pass that; a run can.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

__all__ = ["measure_magnitudes"]


def measure_magnitudes(program: ExportedProgram) -> dict[str, float]:
    """Node -> the largest magnitude among its numbers, on the inputs that the program was traced with.

    Of several results, the largest of all. Infinity where one is infinite or not a number; whole numbers and truth
    values are left out.
    """
    runner = _Runner(program.graph_module)
    with torch.inference_mode():
        runner.run(*_arguments(program))
    return runner.largest


class _Runner(torch.fx.Interpreter):
    def __init__(self, module: torch.fx.GraphModule) -> None:
        super().__init__(module)
        self.largest: dict[str, float] = {}

    def run_node(self, node: torch.fx.Node) -> Any:
        result = super().run_node(node)
        several = result if isinstance(result, (tuple, list)) else (result,)
        found = [_largest(each) for each in several if isinstance(each, torch.Tensor) and each.is_floating_point()]
        if found:
            self.largest[node.name] = max(found)
        return result


def _largest(tensor: torch.Tensor) -> float:
    finite = tensor.abs().nan_to_num(nan=torch.inf, posinf=torch.inf)
    return float(finite.max()) if finite.numel() else 0.0


def _arguments(program: ExportedProgram) -> list[Any]:
    """What the placeholders of the graph stand for, in their order: weights, then inputs."""
    _, inputs = program.example_inputs
    given = iter(inputs.values())
    return [
        next(given) if spec.kind is InputKind.USER_INPUT else _stored(program, spec.target)
        for spec in program.graph_signature.input_specs
    ]


def _stored(program: ExportedProgram, name: str | None) -> Any:
    """A parameter or buffer, or a constant that the graph keeps beside them."""
    return program.state_dict[name] if name in program.state_dict else program.constants[name]
