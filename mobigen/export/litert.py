"""LiteRT: a network -> a .tflite file. The only file that imports litert_torch."""

from __future__ import annotations

from pathlib import Path

import torch

from mobigen.errors import ExportError, MissingExtraError
from mobigen.export.program import EXAMPLE_SEED, HIGHEST_RANK, first_line, trace
from mobigen.export.quiet import quiet
from mobigen.models.network import Network
from mobigen.signature import Signature, TensorSpec

__all__ = ["convert"]


def convert(network: Network, target: Path) -> None:
    """Write a network as a float32 LiteRT graph with one signature, named as in `network.signature()`.

    Args:
        network: in evaluation mode, float32.
        target: the .tflite file to write.

    Raises:
        ConfigError: its signature names a tensor twice.
        ExportError: the network cannot be traced or converted, or the graph is not what its signature states.
        MissingExtraError: litert-torch is not installed.
    """
    program = trace(network)
    inputs = network.example_inputs(torch.Generator().manual_seed(EXAMPLE_SEED))
    with quiet():
        try:
            import litert_torch  # here, because it takes seconds and prints
        except ImportError as error:
            raise MissingExtraError("export to LiteRT needs: pip install 'mobigen[export]'") from error
        try:
            litert_torch.convert(program.module(), sample_kwargs=inputs).export(str(target))
        except Exception as error:  # the converter raises whatever its parts raise
            what = first_line(error)
            raise ExportError(f"{network.component} cannot be converted to LiteRT: {what}") from error
    _check_graph(target, network.signature())


def _check_graph(path: Path, signature: Signature) -> None:
    """The file must have the signature's tensors under their own names, and none of too high a rank."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with quiet():
        graph = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
        runner = graph.get_signature_runner()
    stated = _describe(signature.inputs), _describe(signature.outputs)
    found = tuple(
        {name: (tuple(each["shape_signature"]), each["dtype"].__name__) for name, each in side.items()}
        for side in (runner.get_input_details(), runner.get_output_details())
    )
    if stated != found:
        raise ExportError(f"{path.name} has {found}, the signature of {signature.component} states {stated}")
    highest = max(len(each["shape"]) for each in graph.get_tensor_details())
    if highest > HIGHEST_RANK:
        raise ExportError(f"{path.name} has a tensor of {highest} axes; at most {HIGHEST_RANK} are accepted")


def _describe(specs: tuple[TensorSpec, ...]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {spec.name: (spec.shape, spec.dtype) for spec in specs}
