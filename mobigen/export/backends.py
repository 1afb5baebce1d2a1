"""Backends to export for: how each converts a network, and how the gate runs what came of it."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from mobigen.errors import ExportError
from mobigen.export import litert
from mobigen.export.quantize import PRECISIONS, needs_calibration, quantize
from mobigen.export.tasks.trail import Arrays
from mobigen.models.network import Network
from mobigen.runtime import Component
from mobigen.runtime.litert import LiteRTComponent
from mobigen.signature import Signature

__all__ = ["BACKENDS", "THREADS", "Backend", "find_backend", "full_precision", "has_precision"]

THREADS = 2  # for parity and the report's times
Functions = Mapping[str, Network]  # the name of a size -> the network at it; the first is the component's own


class Backend(ABC):
    """One runtime that graphs are made for."""

    name: ClassVar[str]
    packages: ClassVar[Sequence[str]]  # that a graph passes through
    precisions: ClassVar[Collection[str]]
    aliases: ClassVar[Mapping[str, str]] = {}  # shorter names of some
    timed: ClassVar[bool] = True  # whether what the gate runs is as fast as on a user's machine

    @abstractmethod
    def file(self, component: str) -> str:
        """The place of a graph in a bundle."""

    @abstractmethod
    def wants_calibration(self, precision: str) -> bool:
        """Whether `convert` needs real inputs for it."""

    @abstractmethod
    def convert(self, functions: Functions, target: Path, precision: str, calibration: Sequence[Arrays]) -> None:
        """Write a graph. Raises ExportError, MissingExtraError."""

    @abstractmethod
    def open(self, path: Path, signature: Signature, precision: str, function: str | None) -> Component:
        """The graph, to be run by the gate."""

    def check_meaning(self, network: Network, samples: Sequence[Arrays], folder: Path) -> float | None:
        """The error of the converted formula in float64; None where there is no executor for that.

        `folder` is for scratch files. Raises ExportError, ParityError.
        """
        return None


class LiteRTBackend(Backend):
    """One .tflite a component: converted in float32, then brought to its precision."""

    name = "litert"
    packages = ("ai-edge-litert", "ai-edge-quantizer", "litert-torch", "torch")
    precisions = PRECISIONS
    aliases: ClassVar[Mapping[str, str]] = {"int8": "int8-dynamic"}  # it computes in int8, and needs no calibration

    def file(self, component: str) -> str:
        return f"litert/{component}.tflite"

    def wants_calibration(self, precision: str) -> bool:
        return needs_calibration(precision)

    def convert(self, functions: Functions, target: Path, precision: str, calibration: Sequence[Arrays]) -> None:
        if precision == "float32":
            litert.convert(_only(functions), target)
            return
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            wide = Path(scratch, target.name)
            litert.convert(_only(functions), wide)
            quantize(wide, target, precision, calibration)

    def open(self, path: Path, signature: Signature, precision: str, function: str | None) -> Component:
        return LiteRTComponent(path, signature, THREADS, function)


def _only(functions: Functions) -> Network:
    (network,) = functions.values()
    return network


BACKENDS: dict[str, Backend] = {each.name: each for each in (LiteRTBackend(),)}


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
