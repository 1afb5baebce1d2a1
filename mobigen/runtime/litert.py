"""LiteRT: runs .tflite graphs on the CPU through XNNPACK. The default backend."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from mobigen.bundle import Bundle
from mobigen.errors import BundleError, MissingExtraError
from mobigen.quiet import quiet_descriptors
from mobigen.record import REPAIR
from mobigen.runtime import Component, check_inputs, default_threads
from mobigen.runtime.byte_edges import ByteEdges, byte_signature
from mobigen.signature import Signature, TensorSpec

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError as error:
    raise MissingExtraError("the litert backend needs: pip install ai-edge-litert") from error

__all__ = ["LiteRTComponent", "load"]


def load(
    bundle: Bundle, name: str, threads: int | None = None, weights: str | PathLike[str] | None = None
) -> Component:
    """The LiteRT graph of a bundle's component; `weights` is not used. Raises BundleError."""
    path, signature = bundle.graph(name, "litert"), bundle.signature(name)
    if bundle.artefact(name, "litert").edges == "uint8":
        return ByteEdges(LiteRTComponent(path, byte_signature(signature), threads), signature)
    return LiteRTComponent(path, signature, threads, bundle.function(name))


class LiteRTComponent:
    """One signature of a .tflite file, which is mapped into memory from its path."""

    def __init__(
        self, path: Path, signature: Signature, threads: int | None = None, function: str | None = None
    ) -> None:
        """Open the graph.

        Args:
            path: the .tflite file; it must stay in place while the component lives.
            signature: names, shapes and dtypes that the graph must have.
            threads: CPU threads; None takes the cores at hand, at most 4.
            function: which signature of the file to run; None if it has a single one.

        Raises:
            BundleError: LiteRT cannot read the file, or its inputs or outputs are not the signature's.
        """
        self.signature = signature
        try:
            with quiet_descriptors(2):  # where TFLite and XNNPACK announce themselves
                self._interpreter = Interpreter(model_path=str(path), num_threads=threads or default_threads())
                self._interpreter.allocate_tensors()
                self._run = self._interpreter.get_signature_runner(function)
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"{path} is not a graph that LiteRT can run ({_first_line(error)}); {REPAIR}") from error
        _check_tensors(path, signature.inputs, self._run.get_input_details())
        _check_tensors(path, signature.outputs, self._run.get_output_details())

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph. Raises InputError on arrays that do not fit the signature."""
        check_inputs(self.signature, inputs)
        results = self._run(**inputs)
        return {spec.name: results[spec.name] for spec in self.signature.outputs}


def _check_tensors(path: Path, specs: Sequence[TensorSpec], details: dict[str, dict]) -> None:
    """One side of the graph must be what metadata.json says, or an input would be misread."""
    stated = {spec.name: (spec.dtype, spec.shape) for spec in specs}
    found = {name: (np.dtype(each["dtype"]).name, tuple(map(int, each["shape"]))) for name, each in details.items()}
    if found != stated:
        raise BundleError(f"{path} has {found}, metadata says {stated}; {REPAIR}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
