"""report.json: what an export measured, so that a reader can judge a bundle without running it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mobigen.bench.machine import describe_machine
from mobigen.bench.timing import Timing
from mobigen.export.backends import BACKENDS
from mobigen.export.parity import TrailParity
from mobigen.export.source import Source
from mobigen.export.tune import Trial

__all__ = [
    "BackendReport",
    "GraphReport",
    "converter_versions",
    "write_report",
]


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
