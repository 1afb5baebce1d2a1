"""One graph of a bundle: converted, brought to its precision, and measured beside its network on real inputs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mobigen.bench.timing import time_component
from mobigen.bundle import measure
from mobigen.errors import ExportError
from mobigen.export.backends import THREADS, Backend
from mobigen.export.parity import check_parity, compare
from mobigen.export.report import GraphReport
from mobigen.export.tasks.trail import Arrays
from mobigen.metadata import Artefact
from mobigen.models.network import Network
from mobigen.runtime import Component
from mobigen.runtime.torch import TorchComponent

__all__ = ["Graph", "Job", "functions_of", "make_graph"]


@dataclass(frozen=True)
class Job:
    """A graph to make.

    Attributes:
        functions: the name of a size -> the network at it, sharing weights; the first is the component's own.
    """

    backend: Backend
    component: str
    functions: Mapping[str, Network]
    precision: str

    @property
    def network(self) -> Network:
        """At the component's own size."""
        return next(iter(self.functions.values()))

    def open(self, path: Path, function: str | None = None) -> Component:
        """The finished graph at one of its sizes; at the component's own if None."""
        name = function or next(iter(self.functions))
        signature = self.functions[name].signature()
        return self.backend.open(path, signature, self.precision, name if len(self.functions) > 1 else None)


@dataclass(frozen=True)
class Graph:
    """A graph that passed its gate: what it measured, the file, and the component that runs it."""

    report: GraphReport
    artefact: Artefact
    component: Component


def functions_of(network: Network, sizes: Sequence[int]) -> dict[str, Network]:
    """A network, and the same at other sizes, as `Job.functions`. Raises ConfigError where it has one size only."""
    own = network.signature()
    others = {f"size_{size}": network.at_size(size) for size in sizes}
    name = next((name for name, each in others.items() if each.signature() == own), "size_own")
    return {name: network} | {key: each for key, each in others.items() if key != name}


def make_graph(job: Job, folder: Path, samples: Sequence[Arrays], calibration: Sequence[Arrays]) -> Graph:
    """Write a graph below `folder`, and measure it.

    Args:
        job: what to make.
        folder: of the bundle.
        samples: real inputs that agreement is measured on.
        calibration: real inputs that ranges are fitted to, where the precision wants some.

    Raises:
        ExportError: the network cannot be converted as asked, or there are no samples.
        ParityError: the graph is below its floor, or means something else than the network.
    """
    if not samples:
        raise ExportError(f"{job.component} has no inputs to be judged on; give some with --inputs")
    path = folder / job.backend.file(job.component)
    path.parent.mkdir(exist_ok=True)
    meaning = job.backend.check_meaning(job.network, samples, folder)
    start = time.perf_counter()
    job.backend.convert(job.functions, path, job.precision, calibration)
    seconds = time.perf_counter() - start
    component = job.open(path)
    decibels = compare(TorchComponent(job.network, component.signature), component, samples)
    check_parity(job.component, job.precision, decibels)
    _check_other_sizes(job, path)
    size, digest = measure(path)
    report = GraphReport(
        component=job.component,
        precision=job.precision,
        parameters=sum(parameter.numel() for parameter in job.network.parameters()),
        bytes=size,
        parity_db={name: round(value, 1) for name, value in decibels.items()},
        meaning_error=meaning,
        samples=len(samples),
        export_seconds=round(seconds, 1),
        timing=time_component(lambda: job.open(path), samples[0], THREADS) if job.backend.timed else None,
    )
    artefact = Artefact(job.backend.file(job.component), job.precision, size, digest, min(report.parity_db.values()))
    return Graph(report, artefact, component)


def _check_other_sizes(job: Job, path: Path) -> None:
    """On their example inputs, since the pipeline runs one size. Raises ParityError."""
    for name, network in list(job.functions.items())[1:]:
        drawn = network.example_inputs(torch.Generator().manual_seed(0))
        sample = {key: value.numpy() for key, value in drawn.items()}
        decibels = compare(TorchComponent(network, network.signature()), job.open(path, name), [sample])
        check_parity(f"{job.component} at {name}", job.precision, decibels)
