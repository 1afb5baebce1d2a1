"""What a network exports: the names, shapes, types and ranges of its inputs and outputs, fixed before conversion."""

from __future__ import annotations

from dataclasses import dataclass

from mobigen.errors import ConfigError

__all__ = ["DTYPES", "Signature", "TensorSpec"]

DTYPES = ("float32", "int32", "uint8")  # what every backend accepts at a graph's edge


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: a static `shape` (batch first), a `dtype` of DTYPES and, if known, its value range."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ConfigError(f"tensor {self.name!r} has dtype {self.dtype!r}; accepted: {', '.join(DTYPES)}")
        if not 1 <= len(self.shape) <= 5 or min(self.shape) < 1:
            raise ConfigError(f"tensor {self.name!r} has shape {self.shape}; accepted: 1 to 5 positive sizes")


@dataclass(frozen=True)
class Signature:
    """The export contract of one component.

    Raises:
        ConfigError: two tensors share a name (Core ML refuses an output named like an input).
    """

    component: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        names = [spec.name for spec in (*self.inputs, *self.outputs)]
        shared = sorted({name for name in names if names.count(name) > 1})
        if shared:
            raise ConfigError(
                f"component {self.component!r} uses {', '.join(shared)} twice; give each tensor its own name"
            )
