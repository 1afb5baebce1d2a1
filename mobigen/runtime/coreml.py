"""Core ML: runs .mlpackage graphs on macOS, where the system picks CPU, GPU or Neural Engine."""

import sys
from os import PathLike
from pathlib import Path

import numpy as np

from mobigen.bundle import Bundle
from mobigen.errors import MissingExtraError
from mobigen.runtime import Component, check_inputs
from mobigen.signature import Signature

__all__ = ["CoreMLComponent", "load"]


def load(
    bundle: Bundle, name: str, threads: int | None = None, weights: str | PathLike[str] | None = None
) -> Component:
    """The Core ML graph of a bundle's component; `threads` and `weights` are not used. Raises BundleError."""
    if sys.platform != "darwin":
        raise MissingExtraError("the coreml backend runs on macOS only; use the litert backend here")
    return CoreMLComponent(bundle.graph(name, "coreml"), bundle.signature(name), bundle.function(name))


class CoreMLComponent:
    """An .mlpackage, compiled by the system when it is opened."""

    def __init__(self, path: Path, signature: Signature, function: str | None = None) -> None:
        """Open a function of the package, None for its only one. Raises MissingExtraError without coremltools."""
        try:
            from coremltools.models import MLModel
        except ImportError as error:
            raise MissingExtraError("the coreml backend needs coremltools; run: pip install mobigen[export]") from error
        self.signature = signature
        self._model = MLModel(str(path), function_name=function)

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the graph. Raises InputError on arrays that do not fit the signature."""
        check_inputs(self.signature, inputs)
        results = self._model.predict({name: _without_bytes(value) for name, value in inputs.items()})
        return {spec.name: np.asarray(results[spec.name], spec.dtype) for spec in self.signature.outputs}


def _without_bytes(value: np.ndarray) -> np.ndarray:
    """Core ML has no uint8 at a graph's edge: such tensors are int32 there."""
    return value.astype(np.int32) if value.dtype == np.uint8 else value
