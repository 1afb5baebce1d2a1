"""One graph of a bundle: converted, brought to its precision, and measured beside its network on real inputs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mobigen.bench.timing import time_component
from mobigen.bundle import measure
from mobigen.errors import ExportError
from mobigen.export.backends import THREADS, Backend, Part
from mobigen.export.parity import check_parity, compare
from mobigen.export.report import GraphReport
from mobigen.export.tasks.trail import Arrays
from mobigen.metadata import Artefact
from mobigen.models.network import Network
from mobigen.runtime import Component
from mobigen.runtime.torch import TorchComponent

__all__ = ["Graph", "functions_of", "make_graph"]


@dataclass(frozen=True)
class Graph:
    """A graph that passed its gate: what it measured, the file, and the component that runs it."""

    report: GraphReport
    artefact: Artefact
    component: Component


def functions_of(network: Network, sizes: Sequence[int]) -> dict[str, Network]:
    """A network, and the same at other sizes, as `Part.functions`. Raises ConfigError where it has one size only."""
    own = network.signature()
    others = {f"size_{size}": network.at_size(size) for size in sizes}
    name = next((name for name, each in others.items() if each.signature() == own), "size_own")
    return {name: network} | {key: each for key, each in others.items() if key != name}


def make_graph(
    backend: Backend,
    part: Part,
    precision: str,
    folder: Path,
    samples: Sequence[Arrays],
    calibration: Sequence[Arrays],
) -> Graph:
    """Write a graph below `folder`, and measure it.

    Args:
        backend: what to make it for.
        part: what to make it of.
        precision: of the backend's.
        folder: of the bundle.
        samples: real inputs that agreement is measured on.
        calibration: real inputs that ranges are fitted to, where the precision wants some.

    Raises:
        ExportError: the network cannot be converted as asked, or there are no samples.
        ParityError: the graph is below its floor, or means something else than the network.
    """
    if not samples:
        raise ExportError(f"{part.name} has no inputs to be judged on; give some with --inputs")
    path = folder / backend.file(part.name)
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        meaning = backend.check_meaning(part, samples, Path(scratch))
        start = time.perf_counter()
        backend.convert(part, path, precision, calibration, Path(scratch))
        seconds = time.perf_counter() - start
    component = backend.open(part, path, precision)
    decibels = compare(TorchComponent(part.network, component.signature), component, samples)
    check_parity(part.name, precision, decibels)
    _check_other_sizes(backend, part, precision, path)
    size, digest = measure(path)
    report = GraphReport(
        component=part.name,
        precision=precision,
        parameters=sum(parameter.numel() for parameter in part.network.parameters()),
        bytes=size,
        parity_db={name: round(value, 1) for name, value in decibels.items()},
        meaning_error=meaning,
        samples=len(samples),
        export_seconds=round(seconds, 1),
        timing=time_component(lambda: backend.open(part, path, precision), samples[0], THREADS)
        if backend.timed
        else None,
    )
    worst = min(report.parity_db.values())
    artefact = Artefact(backend.file(part.name), precision, size, digest, worst, backend.edges(precision))
    return Graph(report, artefact, component)


def _check_other_sizes(backend: Backend, part: Part, precision: str, path: Path) -> None:
    """On their example inputs, since the pipeline runs one size. Raises ParityError."""
    for name, network in list(part.functions.items())[1:]:
        drawn = network.example_inputs(torch.Generator().manual_seed(0))
        sample = {key: value.numpy() for key, value in drawn.items()}
        graph = backend.open(part, path, precision, name)
        decibels = compare(TorchComponent(network, network.signature()), graph, [sample])
        check_parity(f"{part.name} at {name}", precision, decibels)
