"""LiteRT: networks -> a .tflite file. The only file that imports litert_torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch.export import ExportedProgram

from mobigen.errors import ExportError, MissingExtraError
from mobigen.export.decompositions import LITERT, way_round
from mobigen.export.program import EXAMPLE_SEED, HIGHEST_RANK, by_name, first_line, trace
from mobigen.export.quiet import quiet
from mobigen.export.replacing import replacing
from mobigen.models.network import Network
from mobigen.signature import Signature, TensorSpec

__all__ = ["SIGNATURE", "convert"]

SIGNATURE = "serving_default"  # LiteRT's usual name for a graph's only signature


def convert(functions: Network | Mapping[str, Network], target: Path) -> None:
    """Write a network as a float32 LiteRT graph, with the names, shapes and types of `network.signature()`.

    Args:
        functions: in evaluation mode, float32. A network becomes the only signature; networks by name become a
            signature each, in their order, and parameters that they share are written once.
        target: the .tflite file to write.

    Raises:
        ConfigError: a signature names a tensor twice.
        ExportError: networks do not share their parameters, one cannot be traced or converted, or the graph is not
            what its signature states; `target` is as it was.
        MissingExtraError: litert-torch is not installed.
    """
    networks = by_name(functions, SIGNATURE)
    programs = {name: trace(network, LITERT) for name, network in networks.items()}
    with replacing(target) as path:
        _convert(networks, programs, path)
        _check_graphs(path, {name: network.signature() for name, network in networks.items()})


def _convert(networks: Mapping[str, Network], programs: Mapping[str, ExportedProgram], path: Path) -> None:
    with quiet():
        try:
            from litert_torch import Converter  # here, because it takes seconds and prints
        except ImportError as error:
            raise MissingExtraError("export to LiteRT needs: pip install 'mobigen[export]'") from error
        converter = Converter()
        for name, network in networks.items():
            inputs = network.example_inputs(torch.Generator().manual_seed(EXAMPLE_SEED))
            converter.add_signature(name, programs[name].module(), sample_kwargs=inputs)
        try:
            converter.convert().export(str(path))
        except Exception as error:  # the converter raises whatever its parts raise
            component = next(iter(networks.values())).component
            what = way_round(first_line(error))
            raise ExportError(f"{component} cannot be converted to LiteRT: {what}") from error


def _check_graphs(path: Path, signatures: Mapping[str, Signature]) -> None:
    """The file must run, with the signatures' tensors under their own names, and none of too high a rank."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    component = next(iter(signatures.values())).component
    try:
        with quiet():
            graph = Interpreter(
                str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            )
            graph.allocate_tensors()  # where it finds that a kernel is missing
            runners = {name: graph.get_signature_runner(name) for name in graph.get_signature_list()}
    except (RuntimeError, ValueError) as error:  # an operation that LiteRT writes and cannot run, sort for one
        what = way_round(first_line(error))
        raise ExportError(f"{component} became a graph that LiteRT cannot run: {what}") from error
    stated = {name: (_describe(each.inputs), _describe(each.outputs)) for name, each in signatures.items()}
    found = {
        name: (_details(runner.get_input_details()), _details(runner.get_output_details()))
        for name, runner in runners.items()
    }
    if stated != found:
        raise ExportError(f"{path.name} has {found}, the signature of {component} states {stated}")
    ranks = [len(each["shape"]) for index in range(len(runners)) for each in graph.get_tensor_details(index)]
    if max(ranks) > HIGHEST_RANK:
        raise ExportError(f"{path.name} has a tensor of {max(ranks)} axes; at most {HIGHEST_RANK} are accepted")


def _describe(specs: tuple[TensorSpec, ...]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {spec.name: (spec.shape, spec.dtype) for spec in specs}


def _details(side: Mapping[str, Mapping]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (tuple(map(int, each["shape_signature"])), each["dtype"].__name__) for name, each in side.items()}
