"""Backends to export for: how each converts a component, and how the gate runs what came of it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mobigen.errors import ExportError
from mobigen.export import coreml, litert
from mobigen.export.parity import check_meaning
from mobigen.export.quantize import BYTES_AT_EDGES, PRECISIONS, needs_calibration, quantize
from mobigen.export.reference.executor import ReferenceComponent
from mobigen.export.tasks.trail import Arrays
from mobigen.models.network import Network
from mobigen.quantization.ranges import LearnedLayer
from mobigen.runtime import Component
from mobigen.runtime.byte_edges import ByteEdges, byte_signature
from mobigen.runtime.coreml import CoreMLComponent
from mobigen.runtime.litert import LiteRTComponent

__all__ = ["BACKENDS", "THREADS", "Backend", "Part", "find_backend", "full_precision", "has_precision"]

MEANING_SAMPLES = 2  # float64 is slow, and a formula that is right on one real input is hardly wrong on the next
THREADS = 2  # for parity and the report's times


@dataclass(frozen=True)
class Part:
    """A component that is to be converted.

    Attributes:
        name: of the component.
        functions: the name of a size -> the network at it, sharing weights; the first is the component's own.
        learned: layers with the ranges of quantisation-aware training.
    """

    name: str
    functions: Mapping[str, Network]
    learned: Sequence[LearnedLayer] = ()

    @property
    def network(self) -> Network:
        """At the component's own size."""
        return next(iter(self.functions.values()))

    def function(self, size: str | None) -> str | None:
        """The name that a graph has for a size, for the component's own if None; None if it has a single one."""
        return size or next(iter(self.functions)) if len(self.functions) > 1 else None


class Backend(ABC):
    """One runtime that graphs are made for."""

    name: ClassVar[str]
    suffix: ClassVar[str]  # of a graph's file
    packages: ClassVar[Sequence[str]]  # that a graph passes through
    precisions: ClassVar[Collection[str]]
    aliases: ClassVar[Mapping[str, str]] = {}  # shorter names of some
    timed: ClassVar[bool] = True  # whether what the gate runs is as fast as on a user's machine

    def file(self, component: str) -> str:
        """The place of a graph in a bundle."""
        return f"{self.name}/{component}{self.suffix}"

    def edges(self, precision: str) -> str:
        """The dtype of a graph's inputs and outputs where the network's are float32."""
        return "float32"

    def wants_calibration(self, precision: str) -> bool:
        """Whether `convert` needs real inputs for it."""
        return False

    @abstractmethod
    def convert(self, part: Part, target: Path, precision: str, calibration: Sequence[Arrays], scratch: Path) -> None:
        """Write a graph.

        Args:
            part: what to convert.
            target: the file or folder to write.
            precision: one of `precisions`.
            calibration: real inputs, if `wants_calibration(precision)`.
            scratch: a folder that belongs to this part, for what several precisions are made from.

        Raises:
            ExportError: the network cannot be converted as asked.
            MissingExtraError: the converter is not installed.
        """

    @abstractmethod
    def open(self, part: Part, path: Path, precision: str, size: str | None = None) -> Component:
        """A graph at one of its sizes, to be called like the network."""

    def check_meaning(self, part: Part, samples: Sequence[Arrays], scratch: Path) -> float | None:
        """The relative error of the converted formula in float64; None where there is no executor for that.

        Raises:
            ExportError, ParityError: the network cannot be converted, or means something else afterwards.
        """
        return None


class LiteRTBackend(Backend):
    """One .tflite a component: converted in float32, then brought to its precision."""

    name = "litert"
    suffix = ".tflite"
    packages = ("ai-edge-litert", "ai-edge-quantizer", "litert-torch", "torch")
    precisions = PRECISIONS
    aliases: ClassVar[Mapping[str, str]] = {"int8": "int8-dynamic"}  # it computes in int8, and needs no calibration

    def edges(self, precision: str) -> str:
        return "uint8" if precision == BYTES_AT_EDGES else "float32"

    def wants_calibration(self, precision: str) -> bool:
        return needs_calibration(precision)

    def convert(self, part: Part, target: Path, precision: str, calibration: Sequence[Arrays], scratch: Path) -> None:
        if len(part.functions) > 1 and needs_calibration(precision):
            raise ExportError(f"{precision} serves one size a graph; leave --sizes out, or choose int8-dynamic")
        wide = target if precision == "float32" else scratch / "float32.tflite"
        if not wide.exists():
            litert.convert(part.functions if len(part.functions) > 1 else part.network, wide)
        if wide is not target:
            quantize(wide, target, precision, calibration, part.network.signature(), part.learned)

    def open(self, part: Part, path: Path, precision: str, size: str | None = None) -> Component:
        signature = (part.functions[size] if size else part.network).signature()
        if self.edges(precision) == "uint8":
            return ByteEdges(LiteRTComponent(path, byte_signature(signature), THREADS), signature)
        return LiteRTComponent(path, signature, THREADS, part.function(size))


class CoreMLBackend(Backend):
    """One .mlpackage a component; run by the system on macOS, elsewhere by the reference executor."""

    name = "coreml"
    suffix = ".mlpackage"
    packages = ("coremltools", "torch")
    precisions = coreml.PRECISIONS
    timed = sys.platform == "darwin"

    def convert(self, part: Part, target: Path, precision: str, calibration: Sequence[Arrays], scratch: Path) -> None:
        coreml.convert(part.functions if len(part.functions) > 1 else part.network, target, precision)

    def open(self, part: Part, path: Path, precision: str, size: str | None = None) -> Component:
        signature = (part.functions[size] if size else part.network).signature()
        if sys.platform == "darwin":
            return CoreMLComponent(path, signature, part.function(size))
        arithmetic = "float32" if precision == "float32" else "float16"
        return ReferenceComponent(path, signature, arithmetic, part.function(size))

    def check_meaning(self, part: Part, samples: Sequence[Arrays], scratch: Path) -> float | None:
        path = scratch / "float32.mlpackage"
        coreml.convert(part.network, path, "float32")
        program = ReferenceComponent(path, part.network.signature(), "float64")
        return check_meaning(part.network, program, samples[:MEANING_SAMPLES])


BACKENDS: dict[str, Backend] = {each.name: each for each in (LiteRTBackend(), CoreMLBackend())}


def find_backend(name: str) -> Backend:
    """The backend of that name. Raises ExportError that lists the known ones."""
    if name not in BACKENDS:
        raise ExportError(f"cannot export to {name!r}; accepted: {', '.join(BACKENDS)}")
    return BACKENDS[name]


def has_precision(backend: str, precision: str) -> bool:
    """Whether the backend knows that name or alias."""
    found = find_backend(backend)
    return precision in found.precisions or precision in found.aliases


def full_precision(backend: str, precision: str) -> str:
    """A precision's name in full. Raises ExportError that lists the names that the backend accepts."""
    found = find_backend(backend)
    if not has_precision(backend, precision):
        accepted = ", ".join([*found.precisions, *found.aliases])
        raise ExportError(f"{backend} has no precision {precision!r}; accepted: {accepted}")
    return found.aliases.get(precision, precision)
