"""A plan by measurement: every precision of every component tried, and the smallest that hold together kept.

A component's trials see its own floor alone (`mobigen.export.tune`); errors add up in a pipeline. So the chosen graphs
run the pipeline too, and as long as its result is below its floor, the component that follows its network least well
goes on to the next larger graph.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mobigen.errors import ParityError
from mobigen.export.backends import Backend, Part, find_backend
from mobigen.export.engine import Observed, observe, parts_of
from mobigen.export.parity import check_results, compare_trails, floor_of
from mobigen.export.plans import Plan
from mobigen.export.source import Source
from mobigen.export.tasks import TASKS
from mobigen.export.tasks.trail import Arrays
from mobigen.export.tune import Candidate, Trial, choose, tune
from mobigen.runtime import Component
from mobigen.runtime.torch import TorchComponent

__all__ = ["Tuning", "tune_model"]

Trials = Mapping[str, Sequence[Trial]]  # component -> trials
WIDE = "float32"  # of which a trial's time is a share


@dataclass(frozen=True)
class Tuning:
    """What was chosen, and what was tried."""

    plan: Plan
    trials: Mapping[str, Trials]  # backend -> component -> trials


def tune_model(source: Source, backends: Sequence[str], tell: Callable[[str], None] = lambda line: None) -> Tuning:
    """Choose a precision for each component on each backend.

    Args:
        source: the networks.
        backends: names.
        tell: called with a line before each part of the work.

    Raises:
        ExportError: a backend that does not exist.
        ParityError: no form of a component is good enough, or none of them together.
    """
    requests, parts = TASKS[source.task].requests(source), parts_of(source, {})
    seen, fitted = observe(source, requests.parity), observe(source, requests.calibration)
    trials: dict[str, Trials] = {}
    for name in backends:
        with tempfile.TemporaryDirectory() as folder:
            trials[name] = _tune_backend(find_backend(name), source, parts, seen, fitted, Path(folder), tell)
    return Tuning({name: {part: choose(each).name for part, each in trials[name].items()} for name in trials}, trials)


def _tune_backend(
    backend: Backend,
    source: Source,
    parts: Mapping[str, Part],
    seen: Observed,
    fitted: Observed,
    folder: Path,
    tell: Callable[[str], None],
) -> Trials:
    trials: dict[str, Sequence[Trial]] = {}
    forms: dict[str, dict[str, Callable[[], Component]]] = {}
    for name, part in parts.items():
        tell(f"{backend.name}: trying every precision of {name}")
        place = folder / name
        place.mkdir()
        candidates = _candidates(backend, part, fitted.inputs[name], place)
        reference = TorchComponent(part.network, part.network.signature())
        trials[name] = tune(reference, candidates, seen.inputs[name], place, timed=backend.timed)
        forms[name] = {each.name: partial(each.open, place / f"{each.name}{each.suffix}") for each in candidates}
    while True:
        tell(f"{backend.name}: the whole pipeline with {', '.join(choose(each).name for each in trials.values())}")
        components = {name: forms[name][choose(each).name]() for name, each in trials.items()}
        parity = compare_trails(seen.trails, TASKS[source.task].run(source, components, seen.requests))
        try:
            check_results(backend.name, parity.results_db, TASKS[source.task].RESULT_FLOOR)
        except ParityError:
            trials = _widened(trials)
        else:
            return trials


def _candidates(backend: Backend, part: Part, calibration: Sequence[Arrays], folder: Path) -> list[Candidate]:
    """The backend's precisions, float32 first."""

    def write(precision: str, path: Path) -> None:
        backend.convert(part, path, precision, calibration, folder)

    def open_graph(precision: str, path: Path) -> Component:
        return backend.open(part, path, precision)

    return [
        Candidate(each, floor_of(each), partial(write, each), partial(open_graph, each), backend.suffix)
        for each in sorted(backend.precisions, key=lambda precision: precision != WIDE)
    ]


def _widened(trials: Trials) -> dict[str, Sequence[Trial]]:
    """The component that follows its network least well, in its next larger form that follows it better.

    Raises:
        ParityError: every component is in its best form already.
    """
    for name in sorted(trials, key=lambda each: choose(trials[each]).decibels or 0.0):
        kept = choose(trials[name])
        better = [each for each in trials[name] if (each.decibels or 0.0) > (kept.decibels or 0.0) and each.bytes]
        if better:
            wider = min(better, key=lambda each: each.bytes or 0)
            return {**trials, name: tuple(_exchanged(each, kept, wider) for each in trials[name])}
    raise ParityError("the result is below its floor with every component in its best form; change the network")


def _exchanged(trial: Trial, dropped: Trial, taken: Trial) -> Trial:
    if trial is dropped:
        return replace(trial, kept=False, reason="good enough alone, but not for the pipeline's result")
    if trial is taken:
        return replace(trial, kept=True, reason="the smallest that the pipeline's result allows")
    return trial
