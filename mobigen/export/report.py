"""report.json: what an export measured, so that a reader can judge a bundle without running it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np

from mobigen.runtime import Component

__all__ = [
    "GraphReport",
    "Timing",
    "converter_versions",
    "describe_machine",
    "time_component",
    "write_report",
]

CONVERTERS = ("ai-edge-litert", "ai-edge-quantizer", "litert-torch", "torch")
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
    backend: str
    precision: str
    parameters: int  # of the network
    bytes: int
    parity_db: Mapping[str, float]  # by output, the lowest over the samples
    samples: int  # real inputs that parity was taken on
    timing: Timing


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


def write_report(path: Path, model: str, graphs: Sequence[GraphReport], pictures: Sequence[float]) -> None:
    """Write report.json: the graphs, the dB of whole pictures, the machine, the converters and the date."""
    report = {
        "model": model,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "converters": converter_versions(),
        "bytes": sum(graph.bytes for graph in graphs),
        "graphs": [asdict(graph) for graph in graphs],
        "pictures_db": [round(value, 1) for value in pictures],
    }
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def converter_versions() -> dict[str, str]:
    """The versions of all that a graph passes through."""
    return {name: version(name) for name in CONVERTERS}


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
