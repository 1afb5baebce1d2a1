"""What an ML Program must be, read from its protobuf: the signature's tensors, and weights in the form asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mobigen.errors import ExportError
from mobigen.export.program import HIGHEST_RANK
from mobigen.signature import Signature, TensorSpec

__all__ = ["WEIGHTS", "WEIGHT_THRESHOLD", "check_program", "features"]

WEIGHTS = {"conv": "weight", "conv_transpose": "weight", "linear": "weight", "gather": "x"}  # an operation's weight
WEIGHT_THRESHOLD = 2048  # numbers; a smaller weight is not compressed, since its table would be as large as it is
FLOATS = {"FLOAT16", "FLOAT32"}

Message = Any  # of coremltools' protobuf, which only coreml.py imports


def check_program(spec: Message, signatures: Mapping[str, Signature], precision: str) -> None:
    """Refuse a package that is not what was asked for.

    Args:
        spec: the package's Model message.
        signatures: by the name of the function; uint8 tensors are expected as int32.
        precision: a name of `mobigen.export.coreml.PRECISIONS`.

    Raises:
        ExportError: a function lacks a tensor of its signature under its name, holds one of rank above 5 or of a size
            known only at run time, computes in another type than asked, or has a weight of more than WEIGHT_THRESHOLD
            numbers in another form.
    """
    for name, signature in signatures.items():
        stated = _stated(signature.inputs), _stated(signature.outputs)
        found = tuple(map(_found, features(spec, name)))
        if stated != found:
            raise ExportError(f"{signature.component} became {found}, its signature states {stated}")
        function = spec.mlProgram.functions[name]
        operations = function.block_specializations[function.opset].operations
        makers = {output.name: operation for operation in operations for output in operation.outputs}
        for operation in operations:
            _check_results(signature.component, operation, precision)
            _check_weight(signature.component, operation, makers, precision)


def features(spec: Message, function: str) -> tuple[list[Message], list[Message]]:
    """The descriptions of a function's inputs and outputs."""
    named = {each.name: each for each in spec.description.functions}
    description = named.get(function, spec.description)
    return list(description.input), list(description.output)


def _stated(specs: tuple[TensorSpec, ...]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {spec.name: (spec.shape, "int32" if spec.dtype == "uint8" else spec.dtype) for spec in specs}


def _found(side: list[Message]) -> dict[str, tuple[tuple[int, ...], str]]:
    arrays = {each.name: each.type.multiArrayType for each in side}
    return {name: (tuple(array.shape), _name(array, "dataType").lower()) for name, array in arrays.items()}


def _name(message: Message, field: str) -> str:
    """The name of an enumeration's value."""
    return message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(message, field)].name


def _check_results(component: str, operation: Message, precision: str) -> None:
    """Every result is of a size known now; what computes does so in the type asked for."""
    computes = operation.type not in ("const", "cast")
    other = (FLOATS - {"FLOAT32" if precision == "float32" else "FLOAT16"}).pop()
    for output in operation.outputs:
        tensor = output.type.tensorType
        if len(tensor.dimensions) > HIGHEST_RANK or not all(each.HasField("constant") for each in tensor.dimensions):
            raise ExportError(
                f"{component} became a Core ML program whose {operation.type} {output.name} has a size known only "
                f"at run time or more than {HIGHEST_RANK} axes; write that part with other operations"
            )
        if computes and _name(tensor, "dataType") == other:
            raise ExportError(f"{component} in {precision}: {operation.type} {output.name} stayed in {other}")


def _check_weight(component: str, operation: Message, makers: Mapping[str, Message], precision: str) -> None:
    for maker in _weight_makers(operation, makers):
        tensor = maker.outputs[0].type.tensorType
        sizes = [each.constant.size for each in tensor.dimensions]
        if _name(tensor, "dataType") not in FLOATS or len(sizes) < 2:
            continue  # a table of integers, or a list, which no compression takes
        large = math.prod(sizes) > WEIGHT_THRESHOLD
        wanted = precision if large or precision == "float32" else "float16"
        form = _form(maker, sizes)
        if form != wanted and (large or form != precision):
            raise ExportError(
                f"{component} in {precision}: the weight {maker.outputs[0].name} of a {operation.type} is {form}"
            )


def _weight_makers(operation: Message, makers: Mapping[str, Message]) -> Iterator[Message]:
    """The operation that makes an operation's weight, if that is a constant."""
    for argument in operation.inputs[WEIGHTS[operation.type]].arguments if operation.type in WEIGHTS else ():
        maker = makers.get(argument.name)
        while maker is not None and maker.type == "cast":
            maker = makers.get(maker.inputs["x"].arguments[0].name)
        if maker is not None and maker.type.startswith("const"):
            yield maker


def _form(maker: Message, sizes: list[int]) -> str:
    """In the words of PRECISIONS where it is one of them."""
    if maker.type == "const":
        return _name(maker.outputs[0].type.tensorType, "dataType").lower()
    if maker.type == "constexpr_lut_to_dense":
        return f"palette{math.log2(_count(maker, 'lut')):g}"
    data = {"constexpr_affine_dequantize": "quantized_data", "constexpr_blockwise_shift_scale": "data"}.get(maker.type)
    if data and _name(_parameter(maker, data), "dataType") == "INT8" and _count(maker, "scale") in sizes[:2]:
        return "int8"
    return maker.type


def _parameter(maker: Message, name: str) -> Message:
    """The type of a parameter: an attribute up to iOS 17, an argument from iOS 18 on."""
    if name in maker.attributes:
        return maker.attributes[name].type.tensorType
    return maker.inputs[name].arguments[0].value.type.tensorType


def _count(maker: Message, name: str) -> int:
    return math.prod(each.constant.size for each in _parameter(maker, name).dimensions)
