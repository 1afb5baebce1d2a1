"""A .tflite file as a graph: operations by name, who makes a tensor, who reads it. Others need not know the schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FlatGraph", "compact"]

MODULE_PATH = re.compile(rb"(?:\w+\.)+(?=\w)")  # in a tensor's name, before each class
ALIGNMENT = 64  # bytes, of the constants behind the graph


class FlatGraph:
    """The first subgraph of a .tflite file, and its first signature; tensors are indices into it."""

    def __init__(self, path: Path) -> None:
        """Read `path`; whatever flatbuffers raises passes through."""
        from ai_edge_litert import schema_py_generated as schema  # here, because it takes a second
        from ai_edge_litert.tools import flatbuffer_utils

        self._model = flatbuffer_utils.read_model(str(path))
        self._kinds = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
        self._types = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
        self._graph = self._model.subgraphs[0]
        self.operators: list[Any] = self._graph.operators

    def write(self, path: Path) -> None:
        """Write the graph with whatever was changed in it."""
        from ai_edge_litert.tools import flatbuffer_utils

        flatbuffer_utils.write_model(self._model, str(path))

    def inputs(self) -> dict[str, int]:
        """The tensors by their names in the signature."""
        return {each.name.decode(): each.tensorIndex for each in self._model.signatureDefs[0].inputs}

    def outputs(self) -> dict[str, int]:
        """The tensors by their names in the signature."""
        return {each.name.decode(): each.tensorIndex for each in self._model.signatureDefs[0].outputs}

    def kind(self, operator: Any) -> str:
        """ "CONV_2D" and so on."""
        return self._kinds[self._model.operatorCodes[operator.opcodeIndex].builtinCode]

    def maker(self, tensor: int) -> Any | None:
        """The operation that writes a tensor; None of a constant or an input."""
        return next((each for each in self.operators if tensor in each.outputs), None)

    def readers(self, tensor: int) -> list[Any]:
        """The operations that read a tensor."""
        return [each for each in self.operators if tensor in each.inputs]

    def activations(self) -> dict[int, str]:
        """The float32 tensors that are no constants, with their names."""
        tensors = {*self.inputs().values(), *(each for operator in self.operators for each in operator.outputs)}
        return {each: self.name(each) for each in sorted(tensors) if self.type(each) == "FLOAT32"}

    def name(self, tensor: int) -> str:
        return self._graph.tensors[tensor].name.decode()

    def type(self, tensor: int) -> str:
        """ "FLOAT32", "INT8" and so on."""
        return self._types[self._graph.tensors[tensor].type]

    def constant(self, tensor: int) -> np.ndarray | None:
        """The values of a float32 constant; None of anything else."""
        about = self._graph.tensors[tensor]
        data = self._model.buffers[about.buffer].data
        if data is None or self.type(tensor) != "FLOAT32":
            return None
        return np.frombuffer(bytes(data), "<f4").reshape(about.shape)

    def is_constant(self, tensor: int) -> bool:
        return self._model.buffers[self._graph.tensors[tensor].buffer].data is not None

    def range(self, tensor: int) -> tuple[float, float]:
        """What an 8-bit tensor may hold, by its scale and zero point."""
        about = self._graph.tensors[tensor].quantization
        scale, zero = float(about.scale[0]), int(about.zeroPoint[0])
        lowest = -128 if self.type(tensor) == "INT8" else 0
        return scale * (lowest - zero), scale * (lowest + 255 - zero)


def compact(path: Path) -> None:
    """Make a quantised .tflite file smaller, while what it computes and its constants stay as they are.

    Of what describes the graph, equal vectors are written once (the zero points of every channel, above all), and the
    names of tensors lose the modules that their classes are in. The constants must lie behind the graph, where the
    quantizer puts them; another file is left as it is.
    """
    from ai_edge_litert import schema_py_generated as schema

    content = path.read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    outside = [buffer for buffer in model.buffers if buffer.offset]
    if not outside:
        return
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.name = MODULE_PATH.sub(b"", tensor.name)
    begin = min(buffer.offset for buffer in outside)
    length = len(_packed(model))
    length += -length % ALIGNMENT
    for buffer in outside:
        buffer.offset += length - begin
    path.write_bytes(_packed(model).ljust(length, b"\0") + content[begin:])


def _packed(model: Any) -> bytes:
    """The graph without the constants behind it, each vector once."""
    import flatbuffers

    class Builder(flatbuffers.Builder):
        def CreateNumpyVector(self, vector: np.ndarray) -> int:  # noqa: N802  # as the library calls it
            key = (vector.dtype.str, vector.tobytes())
            if key not in written:
                written[key] = super().CreateNumpyVector(vector)
            return written[key]

    written: dict[tuple[str, bytes], int] = {}
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
