"""Core ML: networks -> an .mlpackage, in one of several precisions. The only file here that imports coremltools.

A package runs from iOS 17 on: compressed weights need iOS 16, and only iOS 17 has the cast to uint8. A package of
several functions needs iOS 18. Core ML has no arrays of uint8 at a graph's edge, so that a uint8 tensor of a signature
is int32 there, with the same numbers.
"""

from __future__ import annotations

import functools
import importlib
import json
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

from mobigen import __version__
from mobigen.errors import ExportError, MissingExtraError
from mobigen.export.decompositions import COREML, Decompositions, way_round
from mobigen.export.mlprogram import WEIGHT_THRESHOLD, WEIGHTS, check_program, features
from mobigen.export.program import by_name, first_line, trace
from mobigen.export.quiet import quiet
from mobigen.export.replacing import replacing
from mobigen.models.network import Network
from mobigen.signature import Signature, TensorSpec

__all__ = ["FUNCTION", "PRECISIONS", "check_precision", "convert"]

# float32   weights and arithmetic
# float16   weights and arithmetic; inputs and outputs stay as in the signature
# int8      weights in int8 with a scale a channel, symmetric about 0; arithmetic in float16
# paletteN  weights as indices of N bits into a table of the 2^N best values (k-means); arithmetic in float16
PRECISIONS = ("float32", "float16", "int8", "palette8", "palette6", "palette4")
FUNCTION = "main"  # Core ML's name for a package's only function
MODEL = "Data/com.apple.CoreML/model.mlmodel"


def check_precision(precision: str) -> None:
    """Raises ExportError that lists the accepted names."""
    if precision not in PRECISIONS:
        raise ExportError(f"Core ML has no precision {precision!r}; accepted: {', '.join(PRECISIONS)}")


def convert(functions: Network | Mapping[str, Network], target: Path, precision: str = "float32") -> None:
    """Write a network as an ML Program, with the names, shapes and types of `network.signature()`.

    Args:
        functions: in evaluation mode, float32. A network becomes the package's function; networks by name, which share
            their parameters, become a function each, the first the default one, and their weights are written once.
        target: the .mlpackage to write.
        precision: a name of PRECISIONS. Weights of at most WEIGHT_THRESHOLD numbers are never narrower than float16.

    Raises:
        ConfigError: a signature names a tensor twice.
        ExportError: there is no such precision, a network cannot be traced or converted, or the package is not what
            was asked for; `target` is as it was.
        MissingExtraError: coremltools or, for a palette, scikit-learn is not installed.
    """
    check_precision(precision)
    _check_target(functions, target)
    _check_extra(precision)
    networks = {name: wide_edges(network) for name, network in by_name(functions, FUNCTION).items()}
    programs = {name: trace_for_coreml(network) for name, network in networks.items()}
    signatures = {name: network.signature() for name, network in networks.items()}
    with replacing(target) as path:
        if isinstance(functions, Network):
            _write(programs[FUNCTION], signatures[FUNCTION], path, precision, "iOS17")
        else:
            _write_together(programs, signatures, path, precision)
        _finish(path, signatures, precision)


def _check_target(functions: Network | Mapping[str, Network], target: Path) -> None:
    if target.suffix != ".mlpackage":
        raise ExportError(f"{target} is no name for a Core ML package; end it in .mlpackage")
    odd = [] if isinstance(functions, Network) else [name for name in functions if not name.isidentifier()]
    if odd:
        raise ExportError(f"{', '.join(map(repr, odd))} cannot name a function; use letters, digits and underscores")


def _check_extra(precision: str) -> None:
    packages = ["coremltools"] + ["sklearn"] * precision.startswith("palette")
    try:
        with quiet():
            for package in packages:
                importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(f"Core ML in {precision} needs: pip install 'mobigen[export]'") from error


class WideEdges(Network):
    """A network whose uint8 inputs and outputs are int32, for Core ML."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network, self.training = network, network.training
        self.component = network.component  # type: ignore[misc]  # of this network, not of the class

    def forward(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        """As the network's."""
        specs = self.network.signature().inputs
        narrow = {spec.name: inputs[spec.name].to(getattr(torch, spec.dtype)) for spec in specs}
        results = self.network(**narrow)
        return tuple(map(_widen, results if isinstance(results, tuple) else (results,)))

    def signature(self) -> Signature:
        narrow = self.network.signature()
        return Signature(self.component, *(tuple(map(_widen_spec, side)) for side in (narrow.inputs, narrow.outputs)))

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: _widen(value) for name, value in self.network.example_inputs(generator).items()}


def wide_edges(network: Network) -> Network:
    """The network, or one around it that has int32 where it has uint8."""
    signature = network.signature()
    narrow = any(spec.dtype == "uint8" for spec in (*signature.inputs, *signature.outputs))
    return WideEdges(network) if narrow else network


def _widen(value: Tensor) -> Tensor:
    return value.to(torch.int32) if value.dtype == torch.uint8 else value


def _widen_spec(spec: TensorSpec) -> TensorSpec:
    return replace(spec, dtype="int32") if spec.dtype == "uint8" else spec


def trace_for_coreml(network: Network) -> ExportedProgram:
    """The network in operations that Core ML's converter gets right; errors as of `trace`."""
    return trace(network, COREML, _decompositions())


@functools.cache
def _decompositions() -> Decompositions:
    """Torch's own decompositions of the operations that Core ML's converter neither knows nor has a cure for."""
    with quiet():
        from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY as KNOWN
    standard = torch.export.default_decompositions()
    unknown = [each for each in standard if KNOWN.get_func(each.name()) is None and each not in COREML]
    return {**{each: standard[each] for each in unknown}, torch.ops.aten.alias.default: lambda x: x}


def _write(program: ExportedProgram, signature: Signature, path: Path, precision: str, system: str) -> None:
    """Convert and compress one function, for a system and its successors."""
    with quiet():
        import coremltools as ct

        single, half = ct.precision.FLOAT32, ct.precision.FLOAT16
        inputs = [ct.TensorType(each.name, each.shape, np.dtype(each.dtype).type) for each in signature.inputs]
        outputs = [ct.TensorType(each.name, dtype=np.dtype(each.dtype).type) for each in signature.outputs]
        try:
            model = ct.convert(
                program,
                inputs=inputs,
                outputs=outputs,
                minimum_deployment_target=ct.target[system],
                compute_precision=single if precision == "float32" else half,
                skip_model_load=True,
            )
            _compress(model, precision).save(str(path))
        except Exception as error:  # the converter raises whatever its parts raise
            traceback.clear_frames(error.__traceback__)  # one holds a temporary folder, which goes now, in silence
            what = way_round(first_line(error))
            raise ExportError(f"{signature.component} cannot be converted to Core ML: {what}") from error


def _compress(model: Any, precision: str) -> Any:
    """The model with its large weights in int8 or in a palette; as it is for a float precision."""
    import coremltools.optimize.coreml as cto

    if precision == "int8":
        linear = cto.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=WEIGHT_THRESHOLD)
        return cto.linear_quantize_weights(
            model, cto.OptimizationConfig(op_type_configs=dict.fromkeys(WEIGHTS, linear))
        )
    if precision.startswith("palette"):
        bits = int(precision.removeprefix("palette"))
        palette = cto.OpPalettizerConfig(mode="kmeans", nbits=bits, weight_threshold=WEIGHT_THRESHOLD)
        return cto.palettize_weights(model, cto.OptimizationConfig(op_type_configs=dict.fromkeys(WEIGHTS, palette)))
    return model


def _write_together(
    programs: Mapping[str, ExportedProgram], signatures: Mapping[str, Signature], path: Path, precision: str
) -> None:
    """One package of all functions, equal weights written once."""
    from coremltools.models.utils import MultiFunctionDescriptor, save_multifunction

    descriptor = MultiFunctionDescriptor()
    for name, program in programs.items():
        part = path.with_name(f"{name}.mlpackage")
        _write(program, signatures[name], part, precision, "iOS18")
        descriptor.add_function(str(part), src_function_name=FUNCTION, target_function_name=name)
    descriptor.default_function_name = next(iter(programs))
    with quiet():
        save_multifunction(descriptor, str(path))


def _finish(package: Path, signatures: Mapping[str, Signature], precision: str) -> None:
    """Check the package, describe it, and make it the same bytes whenever it is made. Raises ExportError."""
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model.FromString((package / MODEL).read_bytes())
    check_program(spec, signatures, precision)
    _describe(spec, signatures, precision)
    (package / MODEL).write_bytes(spec.SerializeToString(deterministic=True))
    (package / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)  # of use to another tool only
    manifest = json.loads((package / "Manifest.json").read_text(encoding="utf-8"))
    (package / "Manifest.json").write_text(json.dumps(_without_chance(manifest), indent=4) + "\n", encoding="utf-8")


def _describe(spec: Any, signatures: Mapping[str, Signature], precision: str) -> None:
    """What Xcode shows of a model."""
    component = next(iter(signatures.values())).component
    metadata = spec.description.metadata
    metadata.shortDescription = f"mobigen: {component}, {precision}"
    metadata.author, metadata.versionString = "mobigen", __version__
    metadata.userDefined.pop("com.github.apple.coremltools.conversion_date", None)
    for name, signature in signatures.items():
        ranges = {each.name: _range(each) for each in (*signature.inputs, *signature.outputs)}
        for feature in (each for side in features(spec, name) for each in side):
            feature.shortDescription = ranges[feature.name]


def _range(spec: TensorSpec) -> str:
    return "" if spec.low is None or spec.high is None else f"from {spec.low:g} to {spec.high:g}"


def _without_chance(manifest: dict[str, Any]) -> dict[str, Any]:
    """A package's manifest with identifiers that follow from what they identify."""
    entries = manifest["itemInfoEntries"]
    identifiers = {old: str(uuid.uuid5(uuid.NAMESPACE_URL, entry["path"])) for old, entry in entries.items()}
    root = identifiers[manifest["rootModelIdentifier"]]
    items = sorted((identifiers[old], entry) for old, entry in entries.items())
    return {**manifest, "itemInfoEntries": dict(items), "rootModelIdentifier": root}
