"""Reads an .mlpackage that holds an ML Program into plain frozen records. The only file here that imports coremltools.

An .mlpackage is a folder: Manifest.json names the model file below Data/, which is a protobuf message; large constants
lie beside it in weights/weight.bin (see `blobs`).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mobigen.errors import BundleError, MissingExtraError
from mobigen.export.quiet import quiet
from mobigen.export.reference.blobs import NUMPY_TYPES, BlobFile, from_bytes
from mobigen.record import REPAIR

__all__ = ["Function", "Operation", "Program", "Value", "operations", "read_package"]

MODEL_FOLDER = "@model_path/"  # what the names of weight files begin with: the folder of the model file
UNKNOWN = -1  # a size that is known only when the program runs


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of a program, or a string; `data` if it is a stored constant."""

    name: str
    dtype: str  # MIL's name: "fp16", "fp32", "int32", "bool", "uint4", "string", ...
    shape: tuple[int, ...]  # UNKNOWN for a size that is known only when the program runs
    data: np.ndarray | str | None = None

    def value(self) -> np.ndarray | str:
        """The constant's value. Raises ValueError if there is none."""
        if self.data is None:
            raise ValueError(f"{self.name} is a {self.dtype} without a value")
        return self.data


@dataclass(frozen=True, eq=False)
class Operation:
    """One step: its kind ("conv"), what it reads and what it makes.

    `inputs` maps a parameter to the names of values made before, or to constants; several where the operation takes
    a list. `attributes` are constants too: the value of a const, and the parameters of old forms of constexpr_*.
    """

    kind: str
    inputs: Mapping[str, tuple[str | Value, ...]]
    outputs: tuple[Value, ...]
    attributes: Mapping[str, Value] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind} ({', '.join(each.name for each in self.outputs)})"

    def parameters(self) -> dict[str, tuple[str | Value, ...]]:
        """What it is given, by parameter, from its inputs and its attributes."""
        return {**self.inputs, **{name: (value,) for name, value in self.attributes.items() if name != "name"}}


@dataclass(frozen=True, eq=False)
class Function:
    """Operations in the order in which they run; every name is made once, before it is read."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """The functions of a package by name; `default` is the one that runs when none is asked for."""

    functions: Mapping[str, Function]
    default: str


def operations(program: Program) -> Counter[str]:
    """How often each kind of operation stands in a program, constants and all functions included."""
    return Counter(each.kind for function in program.functions.values() for each in function.operations)


def read_package(path: Path) -> Program:
    """Read the ML Program of an .mlpackage, with all its constants.

    Raises:
        BundleError: the package is missing, cut off, edited by hand, or holds another kind of model.
        MissingExtraError: coremltools is not installed.
    """
    file = path / "Data" / _model_file(path)
    model = _parse(file)
    kind = model.WhichOneof("Type")
    if kind != "mlProgram":
        raise BundleError(f"{path} holds a model of type {kind}; accepted: an ML Program (convert for iOS15 or newer)")
    reader = _Reader(file)
    functions = {name: reader.function(each, name) for name, each in model.mlProgram.functions.items()}
    default = model.description.defaultFunctionName or "main"
    if default not in functions:
        raise BundleError(f"{file} has no function {default!r}, only {', '.join(functions) or 'none'}; {REPAIR}")
    for name, inputs, outputs in _described(model.description, default):
        _check_description(file, name, functions, inputs, outputs)
    return Program(functions, default)


def _model_file(path: Path) -> PurePosixPath:
    """Where the model lies below Data/, as Manifest.json says."""
    try:
        manifest = json.loads((path / "Manifest.json").read_text(encoding="utf-8"))
        place = PurePosixPath(manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"])
    except OSError as error:
        raise BundleError(f"{path} is not an .mlpackage: Manifest.json cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path / 'Manifest.json'} does not name a model; {REPAIR}") from error
    if place.is_absolute() or ".." in place.parts:
        raise BundleError(f"{path / 'Manifest.json'} names {place}, which is outside the package; {REPAIR}")
    return place


def _parse(file: Path) -> Any:
    """The model file as coremltools' protobuf message."""
    with quiet():
        try:
            from coremltools.proto import Model_pb2  # here, because it takes seconds and prints
        except ImportError as error:
            raise MissingExtraError("reading an .mlpackage needs: pip install 'mobigen[export]'") from error
    model = Model_pb2.Model()
    try:
        model.ParseFromString(file.read_bytes())
    except OSError as error:
        raise BundleError(f"{file} cannot be read ({error.strerror}); {REPAIR}") from error
    except Exception as error:  # protobuf's DecodeError; protobuf itself is no dependency of ours
        raise BundleError(f"{file} is not a Core ML model, or was cut off; {REPAIR}") from error
    return model


def _described(description: Any, default: str) -> Iterable[tuple[str, set[str], set[str]]]:
    """Function, inputs and outputs by name, as the model's description states them to apps."""
    for each in description.functions or [description]:
        name = getattr(each, "name", default)
        yield name, {feature.name for feature in each.input}, {feature.name for feature in each.output}


def _check_description(
    file: Path, name: str, functions: Mapping[str, Function], inputs: set[str], outputs: set[str]
) -> None:
    function = functions.get(name)
    found = function and ({each.name for each in function.inputs}, {each.name for each in function.outputs})
    if found != (inputs, outputs):
        stated = f"{', '.join(sorted(inputs))} -> {', '.join(sorted(outputs))}"
        raise BundleError(f"{file}: its description states {name}: {stated}, which is not its program; {REPAIR}")


class _Reader:
    """Turns the protobuf messages of one model file into records."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._blobs: dict[str, BlobFile] = {}

    def function(self, message: Any, name: str) -> Function:
        """A function, in the form made for its own operation set."""
        if message.opset not in message.block_specializations:
            raise self._damaged(f"function {name} has no block for {message.opset or 'any operation set'}")
        block = message.block_specializations[message.opset]
        inputs = tuple(self._typed(each.name, each.type) for each in message.inputs)
        known = {each.name: each for each in inputs}
        steps = []
        for each in block.operations:
            step = self._operation(each, known)
            known.update({value.name: value for value in step.outputs})
            steps.append(step)
        missing = [each for each in block.outputs if each not in known]
        if missing:
            raise self._damaged(f"function {name} returns {missing[0]}, which nothing in it makes")
        return Function(inputs, tuple(known[each] for each in block.outputs), tuple(steps))

    def _operation(self, message: Any, known: Mapping[str, Value]) -> Operation:
        """An operation, its parameters in the order of their names: the message has them in none."""
        outputs = tuple(self._typed(each.name, each.type) for each in message.outputs)
        for value in outputs:
            if value.name in known:
                raise self._damaged(f"{value.name} is made twice")
        inputs = {
            parameter: tuple(self._binding(message.type, parameter, each, known) for each in argument.arguments)
            for parameter, argument in sorted(message.inputs.items())
        }
        attributes = {name: self._constant(name, value) for name, value in sorted(message.attributes.items())}
        return Operation(message.type, inputs, outputs, attributes)

    def _binding(self, kind: str, parameter: str, message: Any, known: Mapping[str, Value]) -> str | Value:
        if message.WhichOneof("binding") == "value":
            return self._constant(parameter, message.value)
        if message.name not in known:
            raise self._damaged(f"{parameter} of {kind} is {message.name!r}, which nothing before it makes")
        return message.name

    def _typed(self, name: str, message: Any) -> Value:
        """A value of which the type alone is known; other types than tensors have theirs for a dtype, and no shape."""
        form = message.WhichOneof("type")
        if form != "tensorType":
            return Value(name, str(form), ())
        number = message.tensorType.dataType
        label = message.tensorType.DESCRIPTOR.fields_by_name["dataType"].enum_type.values_by_number.get(number)
        sizes = message.tensorType.dimensions
        shape = tuple(each.constant.size if each.HasField("constant") else UNKNOWN for each in sizes)
        return Value(name, _mil_name(label.name if label else f"type {number}"), shape)

    def _constant(self, name: str, message: Any) -> Value:
        value = self._typed(name, message.type)
        data: np.ndarray | str
        if message.WhichOneof("value") == "blobFileValue":
            data = self._stored(value, message.blobFileValue)
        elif message.immediateValue.WhichOneof("value") == "tensor":
            data = self._immediate(value, message.immediateValue.tensor)
        else:
            return value  # a list or dictionary: of operations that will be refused by name
        return Value(name, value.dtype, value.shape, data)

    def _stored(self, value: Value, message: Any) -> np.ndarray:
        """The numbers of a constant in a weight file."""
        place = PurePosixPath(message.fileName.removeprefix(MODEL_FOLDER))
        if not message.fileName.startswith(MODEL_FOLDER) or place.is_absolute() or ".." in place.parts:
            raise self._damaged(f"{value.name} lies in {message.fileName!r}, which is outside the package")
        if value.dtype not in NUMPY_TYPES:
            raise self._damaged(f"{value.name} is stored as {value.dtype}, which weight files do not hold")
        if message.fileName not in self._blobs:
            self._blobs[message.fileName] = BlobFile(self._file.parent / place)
        numbers = self._blobs[message.fileName].read(message.offset, value.dtype, math.prod(value.shape))
        return numbers.reshape(value.shape)

    def _immediate(self, value: Value, message: Any) -> np.ndarray | str:
        """The numbers, or the string, of a constant that stands in the program itself."""
        values = getattr(message, message.WhichOneof("value") or "floats").values
        if value.dtype == "string":
            return values[0] if len(values) == 1 and value.shape == () else np.array(values)
        try:
            if isinstance(values, bytes):
                numbers = from_bytes(values, value.dtype, math.prod(value.shape))
            else:
                numbers = np.array(values, NUMPY_TYPES[value.dtype])
            return numbers.reshape(value.shape)
        except (KeyError, ValueError, OverflowError) as error:
            stated = f"{value.name} is stated as {value.dtype} {value.shape}"
            raise self._damaged(f"{stated}, its value has {len(values)} entries") from error

    def _damaged(self, what: str) -> BundleError:
        return BundleError(f"{self._file} is damaged: {what}; {REPAIR}")


def _mil_name(label: str) -> str:
    """The protobuf's name of a data type, FLOAT16 say, as MIL writes it: fp16."""
    return label.lower().replace("float", "fp")
