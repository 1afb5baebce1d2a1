"""What each operation computes: one function an operation, grouped by what the operations are about.

The formulas are those of the MIL operation set of coremltools (iOS15 to iOS18), where every parameter's name and
default comes from; a function's parameters are the operation's. Tensors come and go as torch tensors. Floats are all
of one width, float32 or float64, which the executor chooses; what a function returns is brought to the type that the
program states for it, so a function need not care. An index or a case that the definition leaves open is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mobigen.export.reference.kernels.activation import ACTIVATION
from mobigen.export.reference.kernels.arithmetic import ARITHMETIC
from mobigen.export.reference.kernels.index import INDEX
from mobigen.export.reference.kernels.linear import LINEAR
from mobigen.export.reference.kernels.reduction import REDUCTION
from mobigen.export.reference.kernels.resize import RESIZE
from mobigen.export.reference.kernels.shape import SHAPE

__all__ = ["TENSOR_KERNELS"]

TENSOR_KERNELS: Mapping[str, Callable[..., Any]] = {
    **ARITHMETIC, **ACTIVATION, **REDUCTION, **LINEAR, **SHAPE, **INDEX, **RESIZE,
}  # fmt: skip
