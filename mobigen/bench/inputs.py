"""Random inputs inside the ranges that a bundle's metadata states; the same seed gives the same arrays."""

import numpy as np

from mobigen.signature import Signature, TensorSpec

__all__ = ["random_inputs", "random_picture"]

SEED = 0


def random_inputs(signature: Signature, seed: int = SEED) -> dict[str, np.ndarray]:
    """An array for every input. What states no range is unit normal if it is a float, and zero if it is an int32."""
    generator = np.random.default_rng(seed)
    return {spec.name: _draw(spec, generator) for spec in signature.inputs}


def random_picture(width: int, height: int, seed: int = SEED) -> np.ndarray:
    """uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _draw(spec: TensorSpec, generator: np.random.Generator) -> np.ndarray:
    if spec.low is None or spec.high is None:
        if spec.dtype == "float32":
            return generator.standard_normal(spec.shape, np.float32)
        low, high = (0, 255) if spec.dtype == "uint8" else (0, 0)
    elif spec.dtype == "float32":
        return generator.uniform(spec.low, spec.high, spec.shape).astype(np.float32)
    else:
        low, high = int(spec.low), int(spec.high)
    return generator.integers(low, high, spec.shape, spec.dtype, endpoint=True)
