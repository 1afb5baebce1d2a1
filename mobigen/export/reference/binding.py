"""Hands an operation's inputs to the function that computes it: by name, each in the type of its annotation.

A parameter that the function does not have is refused, since to ignore it would be to compute something else.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, get_args, get_type_hints

from torch import Tensor

from mobigen.errors import ExportError

__all__ = ["check_parameters", "in_stated_types"]

Argument = Tensor | str


def _one(arguments: Sequence[Argument]) -> Argument:
    (argument,) = arguments
    return argument


def _number(arguments: Sequence[Argument]) -> Any:
    argument = _one(arguments)
    return argument if isinstance(argument, str) else argument.item()


def _numbers(arguments: Sequence[Argument]) -> tuple[int, ...]:
    """A vector, or a list of numbers."""
    tensors = [each for each in arguments if isinstance(each, Tensor)]
    return tuple(int(number) for each in tensors for number in each.reshape(-1).tolist())


READINGS: Mapping[Any, Callable[[Sequence[Argument]], Any]] = {  # the annotation of a parameter -> how it is read
    Tensor: _one,
    str: _one,
    bool: lambda arguments: bool(_number(arguments)),
    int: lambda arguments: int(_number(arguments)),
    float: lambda arguments: float(_number(arguments)),
    tuple[int, ...]: _numbers,
    tuple[Tensor, ...]: tuple,
}


@cache
def _readings(function: Callable[..., Any]) -> dict[str, Callable[[Sequence[Argument]], Any]]:
    hints = get_type_hints(function)
    hints.pop("return")
    return {name: READINGS[_without_none(hint)] for name, hint in hints.items()}


def _without_none(hint: Any) -> Any:
    """`X | None` -> X."""
    return get_args(hint)[0] if isinstance(hint, UnionType) else hint


def in_stated_types(function: Callable[..., Any], arguments: Mapping[str, Sequence[Argument]]) -> dict[str, Any]:
    """The arguments as `function` takes them: tensors, numbers, strings, or tuples of them."""
    readings = _readings(function)
    return {name: readings[name](each) for name, each in arguments.items()}


def check_parameters(step: str, function: Callable[..., Any], given: Sequence[str]) -> None:
    """Refuse an operation with parameters that its function does not have, or without those that it needs.

    Raises:
        ExportError: names the step and the parameter.
    """
    known = inspect.signature(function).parameters
    strange = sorted(set(given) - set(known))
    if strange:
        raise ExportError(f"{step} has the parameter {strange[0]}, which the reference executor does not know")
    missing = [name for name, each in known.items() if each.default is each.empty and name not in given]
    if missing:
        raise ExportError(f"{step} lacks its parameter {missing[0]}; export the network again")
