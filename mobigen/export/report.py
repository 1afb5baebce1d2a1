"""report.json: what an export measured, so that a reader can judge a bundle without running it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mobigen.export.backends import BACKENDS
from mobigen.export.parity import TrailParity
from mobigen.export.source import Source
from mobigen.export.tune import Trial
from mobigen.runtime import Component

__all__ = [
    "BackendReport",
    "GraphReport",
    "Timing",
    "converter_versions",
    "describe_machine",
    "time_component",
    "write_report",
]

RUNS = 20


@dataclass(frozen=True)
class Timing:
    """How long a component takes, in milliseconds of wall time."""

    threads: int
    load_ms: float  # opening the file and preparing the graph
    first_run_ms: float
    median_run_ms: float  # of the runs after the first


@dataclass(frozen=True)
class GraphReport:
    """One graph of a bundle: its size, how closely it follows its network, and its speed."""

    component: str
    precision: str
    parameters: int  # of the network
    bytes: int
    parity_db: Mapping[str, float]  # by output, the lowest over the samples
    meaning_error: float | None  # relative, of the formula in float64; None where no executor tells
    samples: int  # real inputs that parity was taken on
    export_seconds: float
    timing: Timing | None  # None where the backend cannot be timed on this machine


@dataclass(frozen=True)
class BackendReport:
    """The graphs of one backend, and how closely the pipeline on them follows the pipeline on the networks."""

    bytes: int
    graphs: Sequence[GraphReport]
    steps_db: Sequence[float]  # of the state after each step, the lowest over the requests
    results_db: Sequence[float]  # of what a person gets, a request each; empty for bare networks

    @classmethod
    def of(cls, graphs: Sequence[GraphReport], parity: TrailParity) -> BackendReport:
        """The sum of the graphs, and their trails."""
        steps, results = ([round(value, 1) for value in each] for each in (parity.steps_db, parity.results_db))
        return cls(sum(graph.bytes for graph in graphs), graphs, steps, results)


def time_component(
    open_component: Callable[[], Component], inputs: Mapping[str, np.ndarray], threads: int, runs: int = RUNS
) -> Timing:
    """Open a component, run it once, then `runs` times more on the same inputs."""
    marks = [time.perf_counter()]
    component = open_component()
    marks.append(time.perf_counter())
    for _ in range(runs + 1):
        component(**inputs)
        marks.append(time.perf_counter())
    load, first, *rest = (1e3 * (end - start) for start, end in pairwise(marks))
    return Timing(threads, round(load, 2), round(first, 2), round(statistics.median(rest), 2))


def write_report(
    path: Path,
    source: Source,
    backends: Mapping[str, BackendReport],
    trials: Mapping[str, Mapping[str, Sequence[Trial]]] | None = None,
) -> None:
    """Write report.json: what each backend measured, the machine, the converters and the date.

    `trials` is what a tuning tried: backend -> component -> trials.
    """
    report: dict[str, Any] = {
        "model": source.name,
        "task": source.task,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "converters": converter_versions(backends),
        "backends": {name: asdict(each) for name, each in backends.items()},
    }
    if trials:
        report["tuning"] = {
            backend: {name: [asdict(each) for each in several] for name, several in components.items()}
            for backend, components in trials.items()
        }
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def converter_versions(backends: Iterable[str]) -> dict[str, str]:
    """The versions of all that the graphs of some backends pass through."""
    packages = sorted({package for backend in backends for package in BACKENDS[backend].packages})
    return {name: version(name) for name in packages}


def describe_machine() -> dict[str, str | int]:
    """The processor, its cores and the system: times mean nothing without them."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    """Linux keeps the name in a file; elsewhere Python knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
