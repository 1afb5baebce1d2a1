"""The road to every converter: a network traced by torch.export under the names of its signature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from mobigen.errors import ExportError, MobigenError
from mobigen.export.decompositions import Decompositions, Table, cure, decompose
from mobigen.models.network import Network
from mobigen.signature import Signature, TensorSpec

__all__ = ["EXAMPLE_SEED", "HIGHEST_RANK", "by_name", "capture", "first_line", "trace"]

NONE: Table = {}
HIGHEST_RANK = 5  # of any tensor: Core ML has no more, and phones' accelerators often have less
EXAMPLE_SEED = 0


class NamedOutputs(nn.Module):
    """A network whose outputs come as a dictionary, so that converters learn their names."""

    def __init__(self, network: Network, signature: Signature) -> None:
        super().__init__()
        self.network = network
        self.names = [spec.name for spec in signature.outputs]

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """The network's inputs by name -> its outputs by name."""
        results = self.network(**inputs)
        return dict(zip(self.names, results if isinstance(results, tuple) else (results,), strict=True))


def trace(network: Network, cures: Table = NONE, decompositions: Decompositions | None = None) -> ExportedProgram:
    """The network as a graph of torch operations, its inputs and outputs named as in its signature.

    Args:
        network: in evaluation mode, all its numbers float32.
        cures: what its converter gets wrong: COREML or LITERT of `mobigen.export.decompositions`.
        decompositions: what its converter does not know, as for `ExportedProgram.run_decompositions`, which then
            brings the graph to the inference dialect; None leaves it in that of `torch.export.export`.

    Raises:
        ConfigError: its signature names a tensor twice.
        ExportError: it is in training mode or not float32, does not do what its signature says, or holds complex
            numbers, a choice made while the graph runs, or a tensor of rank above 5 or of a size known only then.
    """
    program, signature = capture(network), network.signature()
    try:
        program = _rewrite(program, cures, decompositions)
    except MobigenError:
        raise
    except Exception as error:  # torch.export raises its own errors and plain ones
        raise _untraceable(signature, error) from error
    for node, tensor in _tensors(program):
        _check_possible(signature.component, node, tensor)
    _check_tensors(signature.component, "output", signature.outputs, _outputs(program, signature))
    return program


def capture(network: Network) -> ExportedProgram:
    """The graph as it is, whether or not a converter would take it; errors as of `trace`, but those of tensors."""
    signature = network.signature()
    _check_state(network, signature)
    inputs = network.example_inputs(torch.Generator().manual_seed(EXAMPLE_SEED))
    _check_tensors(signature.component, "input", signature.inputs, inputs)
    try:
        return torch.export.export(NamedOutputs(network, signature), args=(), kwargs=inputs, strict=False)
    except Exception as error:
        raise _untraceable(signature, error) from error


def _untraceable(signature: Signature, error: Exception) -> ExportError:
    return ExportError(f"{signature.component} cannot be traced by torch.export: {first_line(error)}")


def _rewrite(program: ExportedProgram, cures: Table, decompositions: Decompositions | None) -> ExportedProgram:
    """Cured after it was decomposed, since torch's decompositions may bring what needs a cure."""
    if decompositions is None:
        return cure(program, cures)
    decomposed = decompose(program, decompositions)
    cured = cure(decomposed, cures)
    return cured if cured is decomposed else decompose(cured, decompositions)


def by_name(functions: Network | Mapping[str, Network], only: str) -> dict[str, Network]:
    """The networks that become one file, by name; a single one is named `only`.

    Raises:
        ExportError: there is none, or they do not share their parameters, so that one file would not be smaller.
    """
    if isinstance(functions, Network):
        return {only: functions}
    if not functions:
        raise ExportError("there is no network to convert; give at least one")
    kinds = {(type(network), frozenset(map(id, network.parameters()))) for network in functions.values()}
    if len(kinds) > 1:
        raise ExportError(f"{', '.join(functions)} do not share their parameters; make one of the other by at_size")
    return dict(functions)


def first_line(error: Exception) -> str:
    """What went wrong, without the pages that torch and the converters add."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _check_state(network: Network, signature: Signature) -> None:
    if any(module.training for module in network.modules()):
        raise ExportError(f"{signature.component} is in training mode; call .eval() before exporting it")
    numbers = [*network.parameters(), *network.buffers()]
    types = {str(each.dtype) for each in numbers if each.is_floating_point()} - {"torch.float32"}
    if types:
        raise ExportError(f"{signature.component} holds {', '.join(sorted(types))}; call .float() before exporting it")


def _check_tensors(component: str, side: str, specs: Sequence[TensorSpec], tensors: dict[str, Tensor]) -> None:
    """The tensors must be those of the specs, in their order."""
    stated = [(spec.name, spec.shape, spec.dtype) for spec in specs]
    found = [(name, tuple(each.shape), str(each.dtype).removeprefix("torch.")) for name, each in tensors.items()]
    if stated != found:
        raise ExportError(
            f"{component}: its signature states {side} {stated}, the network has {found}; make them agree"
        )


def _tensors(program: ExportedProgram) -> Iterator[tuple[torch.fx.Node, Tensor]]:
    for node in program.graph.nodes:
        values = node.meta.get("val")
        for value in values if isinstance(values, (tuple, list)) else (values,):
            if isinstance(value, Tensor):
                yield node, value


def _check_possible(component: str, node: torch.fx.Node, tensor: Tensor) -> None:
    """Raises ExportError on what no phone's format has."""
    where = f"{component}: the result of {node.name}"
    if isinstance(node.target, torch._ops.HigherOrderOperator):
        raise ExportError(f"{where} is chosen while the graph runs; unroll the loop, or choose outside of the graph")
    if tensor.is_complex():
        raise ExportError(f"{where} is complex; write complex numbers as pairs of real ones")
    if not all(isinstance(size, int) for size in tensor.shape):
        raise ExportError(f"{where} has a size known only at run time; make it static")
    if tensor.dim() > HIGHEST_RANK:
        raise ExportError(f"{where} has {tensor.dim()} axes; fold some, at most {HIGHEST_RANK} are accepted")


def _outputs(program: ExportedProgram, signature: Signature) -> dict[str, Tensor]:
    results = program.graph.output_node().args[0]
    return {spec.name: node.meta["val"] for spec, node in zip(signature.outputs, results, strict=True)}
