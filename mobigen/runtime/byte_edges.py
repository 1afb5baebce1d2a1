"""Graphs whose inputs and outputs are bytes, 0 to 255 for the range that the network's signature states.

A graph's own zero point is a whole number, so for [-1, 1] its bytes lie half a step beside these, on both sides alike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mobigen.errors import ExportError
from mobigen.runtime import Component, check_inputs
from mobigen.signature import Signature, TensorSpec

__all__ = ["ByteEdges", "byte_signature", "from_bytes", "to_bytes"]


def byte_signature(signature: Signature) -> Signature:
    """The signature with uint8 in the place of float32; low and high still say what 0 and 255 stand for.

    Raises:
        ExportError: the range of a tensor is not stated.
    """
    inputs, outputs = (tuple(map(_byte_spec, side)) for side in (signature.inputs, signature.outputs))
    return replace(signature, inputs=inputs, outputs=outputs)


def _byte_spec(spec: TensorSpec) -> TensorSpec:
    if spec.dtype != "float32":
        return spec
    if spec.low is None or spec.high is None or not spec.low <= 0 < spec.high:
        raise ExportError(
            f"bytes cannot stand for {spec.name}: its signature states the range [{spec.low}, {spec.high}], "
            "one that holds 0 is needed; state it, or choose int8-full"
        )
    return replace(spec, dtype="uint8")


def to_bytes(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Values of the range of `spec` -> 0 to 255, the nearest; what is outside is cut."""
    low, high = _stated(spec)
    return np.rint((np.clip(values, low, high) - low) * (255 / (high - low))).astype(np.uint8)


def from_bytes(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """0 to 255 -> float32 values of the range of `spec`."""
    low, high = _stated(spec)
    return (low + values.astype(np.float32) * ((high - low) / 255)).astype(np.float32)


def _stated(spec: TensorSpec) -> tuple[float, float]:
    if spec.low is None or spec.high is None:
        raise ExportError(f"the range of {spec.name} is not stated, so bytes have no meaning; state low and high")
    return spec.low, spec.high


class ByteEdges:
    """A component of bytes, called with floats: for comparing it with its network."""

    def __init__(self, component: Component, signature: Signature) -> None:
        """Wrap a component that has `byte_signature(signature)`."""
        self.signature = signature
        self._component = component

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run it. Raises InputError on arrays that do not fit the signature."""
        check_inputs(self.signature, inputs)
        specs = {spec.name: spec for spec in self.signature.inputs if spec.dtype == "float32"}
        results = self._component(**{k: to_bytes(v, specs[k]) if k in specs else v for k, v in inputs.items()})
        specs = {spec.name: spec for spec in self.signature.outputs if spec.dtype == "float32"}
        return {k: from_bytes(v, specs[k]) if k in specs else v for k, v in results.items()}
