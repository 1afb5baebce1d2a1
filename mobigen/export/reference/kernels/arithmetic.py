"""Arithmetic element by element: two operands, one operand, comparisons, logic, casts and choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["ARITHMETIC"]

INTEGER_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1)}


def unary(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """An operation with the single parameter x."""

    def kernel(x: Tensor) -> Tensor:
        return function(x)

    return kernel


def binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """An operation of x and y, broadcast against each other."""

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return kernel


def real_div(x: Tensor, y: Tensor) -> Tensor:
    """x / y; of integers, without the fraction."""
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="trunc")


def floor_div(x: Tensor, y: Tensor) -> Tensor:
    """x / y, rounded towards minus infinity."""
    return torch.div(x, y, rounding_mode="floor")


def inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    """1 / (x + epsilon)."""
    return 1 / (x + epsilon)


def log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    """ln(x + epsilon)."""
    return torch.log(x + epsilon)


def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    """1 / sqrt(x + epsilon)."""
    return 1 / torch.sqrt(x + epsilon)


def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """min(max(x, alpha), beta)."""
    return x.clamp(alpha, beta)


def threshold(x: Tensor, alpha: float) -> Tensor:
    """max(x, alpha)."""
    return x.clamp(min=alpha)


def cast(x: Tensor, dtype: str) -> Tensor:
    """x in another type: towards zero to integers, unequal to zero to bool; short integers saturate."""
    if dtype.startswith("fp"):
        return x
    if dtype == "bool":
        return x != 0
    whole = x.to(torch.int32)
    return whole.clamp(*INTEGER_RANGES[dtype]) if dtype in INTEGER_RANGES else whole


def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a where cond, b elsewhere."""
    return torch.where(cond, a, b)


def quantize(
    input: Tensor, scale: Tensor, output_dtype: str, zero_point: Tensor | None = None, axis: int | None = None
) -> Tensor:
    """round(input / scale) + zero_point within the range of the type; one scale, or one an entry of `axis`."""
    whole = torch.round(input / _along(scale, input, axis))
    if zero_point is not None:
        whole = whole + _along(zero_point, input, axis)
    return whole.clamp(*INTEGER_RANGES[output_dtype])


def dequantize(input: Tensor, scale: Tensor, zero_point: Tensor | None = None, axis: int | None = None) -> Tensor:
    """scale * (input - zero_point)."""
    whole = input if zero_point is None else input - _along(zero_point, input, axis)
    return whole * _along(scale, input, axis)


def _along(vector: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """One number, or one an entry of an axis of x, ready to be broadcast."""
    if axis is None or vector.dim() == 0:
        return vector
    shape = [1] * x.dim()
    shape[axis] = -1
    return vector.reshape(shape)


ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "abs": unary(torch.abs),
    "acos": unary(torch.acos),
    "add": binary(torch.add),
    "asin": unary(torch.asin),
    "atan": unary(torch.atan),
    "atanh": unary(torch.atanh),
    "cast": cast,
    "ceil": unary(torch.ceil),
    "clip": clip,
    "cos": unary(torch.cos),
    "cosh": unary(torch.cosh),
    "dequantize": dequantize,
    "equal": binary(torch.eq),
    "erf": unary(torch.erf),
    "exp": unary(torch.exp),
    "exp2": unary(torch.exp2),
    "floor": unary(torch.floor),
    "floor_div": floor_div,
    "greater": binary(torch.gt),
    "greater_equal": binary(torch.ge),
    "identity": unary(torch.Tensor.clone),
    "inverse": inverse,
    "less": binary(torch.lt),
    "less_equal": binary(torch.le),
    "log": log,
    "logical_and": binary(torch.logical_and),
    "logical_not": unary(torch.logical_not),
    "logical_or": binary(torch.logical_or),
    "logical_xor": binary(torch.logical_xor),
    "maximum": binary(torch.maximum),
    "minimum": binary(torch.minimum),
    "mod": binary(torch.remainder),  # of the divisor's sign
    "mul": binary(torch.mul),
    "not_equal": binary(torch.ne),
    "pow": binary(torch.pow),
    "quantize": quantize,
    "real_div": real_div,
    "round": unary(torch.round),  # halves to even
    "rsqrt": rsqrt,
    "select": select,
    "sign": unary(torch.sign),
    "sin": unary(torch.sin),
    "sinh": unary(torch.sinh),
    "sqrt": unary(torch.sqrt),
    "square": unary(torch.square),
    "sub": binary(torch.sub),
    "tan": unary(torch.tan),
    "tanh": unary(torch.tanh),
    "threshold": threshold,
}
