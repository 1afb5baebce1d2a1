"""Runs a function of an ML Program with torch, in float64, float32 or simulated float16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mobigen.errors import BundleError, ExportError, InputError
from mobigen.export.program import first_line
from mobigen.export.reference.binding import check_parameters, in_stated_types
from mobigen.export.reference.constants import CONSTANTS, Constant, constant_values
from mobigen.export.reference.kernels import TENSOR_KERNELS
from mobigen.export.reference.package import UNKNOWN, Function, Operation, Value, read_package
from mobigen.record import REPAIR
from mobigen.runtime import check_inputs
from mobigen.signature import Signature, TensorSpec

__all__ = ["KERNELS", "PRECISIONS", "Executor", "ReferenceComponent"]

KERNELS = dict(sorted({**CONSTANTS, **TENSOR_KERNELS}.items()))  # all that is covered: kind of operation -> function
PRECISIONS = ("float64", "float32", "float16")
SIGNATURE_TYPES = {"fp32": "float32", "int32": "int32"}  # MIL's name -> a signature's


class Executor:
    """One function of a program.

    Floats are carried in float64 or float32. In "float16" they are carried in float32, and every result that the
    program states as fp16 is rounded to float16, beyond 65504 to infinity. Integers are carried as int32.
    """

    def __init__(self, function: Function, precision: str = "float32") -> None:
        """Prepare the function: its constants get their values here.

        Args:
            function: of a program that `read_package` gave.
            precision: one of PRECISIONS.

        Raises:
            InputError: there is no such precision.
            ExportError: it holds operations or parameters that are not known; all unknown kinds are named.
        """
        if precision not in PRECISIONS:
            raise InputError(f"there is no precision {precision!r}; accepted: {', '.join(PRECISIONS)}")
        _check_kinds(function)
        self._function = function
        self._float = torch.float64 if precision == "float64" else torch.float32
        self._rounds = precision == "float16"
        self._steps = [each for each in function.operations if each.kind not in CONSTANTS]
        self._constants = {name: self._carried(value) for name, value in constant_values(function).items()}
        self._finished = _last_uses(self._steps, keep={each.name for each in function.outputs})

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the function on arrays of its inputs' names and shapes.

        Returns:
            Its outputs by name: floats in float32, or float64 in that precision; integers in int32; or bool.

        Raises:
            ExportError: an operation failed, or gave a shape that is not the one its program states.
        """
        values: dict[str, Tensor | str] = dict(self._constants)
        for each in self._function.inputs:
            values[each.name] = self._settled(torch.from_numpy(np.array(inputs[each.name])), each)
        with torch.inference_mode():
            for step, finished in zip(self._steps, self._finished, strict=True):
                values.update(self._run(step, values))
                for name in finished:
                    values.pop(name, None)
        return {each.name: _as_tensor(values[each.name]).numpy().copy() for each in self._function.outputs}

    def _run(self, step: Operation, values: Mapping[str, Tensor | str]) -> dict[str, Tensor]:
        """The results of one operation by name."""
        function = TENSOR_KERNELS[step.kind]
        try:
            results = function(**in_stated_types(function, self._arguments(step, values)))
            several = results if isinstance(results, tuple) else (results,)
            pairs = zip(step.outputs, several, strict=True)
            return {stated.name: self._settled(result, stated) for stated, result in pairs}
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ExportError(f"{step} cannot be computed: {first_line(error)}") from error

    def _arguments(self, step: Operation, values: Mapping[str, Tensor | str]) -> dict[str, list[Tensor | str]]:
        return {
            name: [values[each] if isinstance(each, str) else self._carried(each.value()) for each in given]
            for name, given in step.parameters().items()
        }

    def _carried(self, value: Constant) -> Tensor | str:
        """A stored value, in the type in which it is computed with."""
        if isinstance(value, str):
            return value
        if value.dtype == np.bool_:
            return torch.from_numpy(value.copy())
        floating = np.issubdtype(value.dtype, np.floating)
        return torch.from_numpy(value.astype(np.float64 if floating else np.int64)).to(self._kind(floating))

    def _kind(self, floating: bool) -> torch.dtype:
        return self._float if floating else torch.int32

    def _settled(self, result: Tensor, stated: Value) -> Tensor:
        """A result in the type that the program states. Raises ValueError if its shape is another."""
        sizes = zip(result.shape, stated.shape, strict=False)
        if result.dim() != len(stated.shape) or any(each != size != UNKNOWN for each, size in sizes):
            raise ValueError(f"{stated.name} has shape {tuple(result.shape)}, the program states {stated.shape}")
        if stated.dtype == "bool":
            return result.to(torch.bool)
        rounds = self._rounds and stated.dtype == "fp16"
        return (result.to(torch.float16) if rounds else result).to(self._kind(stated.dtype.startswith("fp")))


class ReferenceComponent:
    """An .mlpackage run by the reference executor; called like any other component.

    Core ML has no uint8 at a graph's edge: such tensors of the signature are int32 in the package.
    """

    def __init__(
        self, path: Path, signature: Signature, precision: str = "float32", function: str | None = None
    ) -> None:
        """Read the package.

        Args:
            path: the .mlpackage folder, which must hold an ML Program.
            signature: names, shapes and dtypes that the function must have.
            precision: "float64", where all floats are double, "float32", or "float16", where every result that the
                program states as fp16 is rounded to it.
            function: a function of the package; None takes its default.

        Raises:
            BundleError: the package is damaged, has no such function, or its inputs and outputs are others.
            ExportError: it holds operations that the executor does not know; all of them are named.
            InputError: there is no such precision.
            MissingExtraError: coremltools is not installed.
        """
        program = read_package(path)
        name = function or program.default
        if name not in program.functions:
            raise BundleError(f"{path} has no function {name!r}, only {', '.join(program.functions)}; {REPAIR}")
        chosen = program.functions[name]
        _check_tensors(path, signature.inputs, chosen.inputs)
        _check_tensors(path, signature.outputs, chosen.outputs)
        self.signature = signature
        self._wide = precision == "float64"
        self._executor = Executor(chosen, precision)

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the program. In float64, float inputs may be float64 too, and float outputs are.

        Raises:
            InputError: an array does not fit the signature.
            ExportError: an operation could not be computed.
        """
        check_inputs(self.signature, {name: self._narrow(value) for name, value in inputs.items()})
        results = self._executor(inputs)
        narrow = {spec.name for spec in self.signature.outputs if spec.dtype == "uint8"}
        return {name: value.astype(np.uint8) if name in narrow else value for name, value in results.items()}

    def _narrow(self, value: np.ndarray) -> np.ndarray:
        return value.astype(np.float32) if self._wide and value.dtype == np.float64 else value


def _check_kinds(function: Function) -> None:
    """Every operation must be known, with its parameters, before anything runs. Raises ExportError."""
    unknown = sorted({each.kind for each in function.operations} - set(KERNELS))
    if unknown:
        names = ", ".join(unknown)
        raise ExportError(f"the reference executor does not know {names}; write the network without, or add to kernels")
    for step in function.operations:
        check_parameters(str(step), KERNELS[step.kind], list(step.parameters()))


def _last_uses(steps: Sequence[Operation], keep: set[str]) -> list[list[str]]:
    """For every step, the values that nothing after it reads, so that their memory can go."""
    seen = set(keep)
    finished = []
    for step in reversed(steps):
        names = {each for given in step.inputs.values() for each in given if isinstance(each, str)}
        names |= {each.name for each in step.outputs}
        finished.append(sorted(names - seen))
        seen |= names
    return finished[::-1]


def _as_tensor(value: Tensor | str) -> Tensor:
    if isinstance(value, str):
        raise ExportError(f"the program returns the string {value!r}")
    return value


def _check_tensors(path: Path, specs: Sequence[TensorSpec], values: Sequence[Value]) -> None:
    """One side of the program must be what the signature says, or an array would be misread."""
    stated = {spec.name: ("int32" if spec.dtype == "uint8" else spec.dtype, spec.shape) for spec in specs}
    found = {each.name: (SIGNATURE_TYPES.get(each.dtype, each.dtype), each.shape) for each in values}
    if found != stated:
        raise BundleError(f"{path} has {found}, the signature states {stated}; {REPAIR}")
