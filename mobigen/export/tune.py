"""Choosing a form of a component by measurement: every candidate is made, compared with its network, and timed.

Times are taken in rounds over all candidates, so that whatever else the machine does slows all alike, and their
ratios hold where absolute times do not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mobigen.bundle import measure
from mobigen.errors import MobigenError, ParityError
from mobigen.export.parity import compare
from mobigen.runtime import Component

__all__ = ["Candidate", "Trial", "choose", "tune"]

ROUNDS = 5  # the median counts
RUNS = 3  # of a candidate in a round
TIE = 0.02  # sizes that differ by less are the same to a phone; then the faster is taken


@dataclass(frozen=True)
class Candidate:
    """A form that a component could ship in.

    `write` makes the artefact at a path and `open` makes it ready to run; either may raise any MobigenError.
    """

    name: str  # a precision, "int8-dynamic" say
    floor: float  # dB that it must reach
    write: Callable[[Path], None]
    open: Callable[[Path], Component]
    suffix: str = ".tflite"


@dataclass(frozen=True)
class Trial:
    """What was measured of a candidate; the numbers are None where it could not be made or run."""

    name: str
    floor: float  # dB
    bytes: int | None = None
    decibels: float | None = None  # of the worst output on the worst input
    milliseconds: float | None = None  # of a run
    ratio: float | None = None  # of its time to the first candidate's
    kept: bool = False
    reason: str = ""  # why it was kept, or why not


def tune(
    reference: Component,
    candidates: Sequence[Candidate],
    samples: Sequence[Mapping[str, np.ndarray]],
    folder: Path,
    rounds: int = ROUNDS,
    timed: bool = True,
) -> tuple[Trial, ...]:
    """Try candidates, and keep the smallest that reaches its floor; of nearly equal sizes, the fastest.

    Args:
        reference: the network that they are forms of.
        candidates: their times are given as ratios to that of the first, the float32 graph by custom.
        samples: real inputs by name; all are compared, the first is timed.
        folder: takes the artefacts, each under its name and suffix.
        rounds: of timing.
        timed: whether the times mean anything; without them sizes decide alone.

    Returns:
        A trial for each candidate, in their order. None is kept if none reaches its floor; `choose` then complains.
    """
    trials, running = {}, {}
    for each in candidates:
        path = folder / f"{each.name}{each.suffix}"
        trial = Trial(each.name, each.floor)
        try:
            each.write(path)
            component = each.open(path)
            decibels = min(compare(reference, component, samples).values())
        except MobigenError as error:
            trials[each.name] = replace(trial, reason=str(error))
        else:
            trials[each.name] = replace(trial, bytes=measure(path)[0], decibels=decibels)
            running[each.name] = component
    seconds = time_in_rounds(running, samples[0], rounds) if timed else {}
    first = seconds.get(candidates[0].name)
    for name, value in seconds.items():
        trials[name] = replace(trials[name], milliseconds=1e3 * value, ratio=value / first if first else None)
    return _judge(tuple(trials.values()))


def choose(trials: Sequence[Trial]) -> Trial:
    """The one that was kept. Raises ParityError that says what became of each if there is none."""
    kept = next((trial for trial in trials if trial.kept), None)
    if kept is None:
        raise ParityError("no form is good enough: " + "; ".join(f"{each.name}: {each.reason}" for each in trials))
    return kept


def time_in_rounds(
    components: Mapping[str, Component], inputs: Mapping[str, np.ndarray], rounds: int
) -> dict[str, float]:
    """Median seconds of a run of each; one run before the first round is not counted."""
    for component in components.values():
        component(**inputs)
    seconds: dict[str, list[float]] = {name: [] for name in components}
    for _ in range(rounds):
        for name, component in components.items():
            start = time.perf_counter()
            for _ in range(RUNS):
                component(**inputs)
            seconds[name].append((time.perf_counter() - start) / RUNS)
    return {name: statistics.median(each) for name, each in seconds.items()}


def _judge(trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
    """Say which is kept, and why each other is not."""
    good = [each for each in trials if each.decibels is not None and each.decibels >= each.floor]
    smallest = min((each.bytes or 0 for each in good), default=0)
    small = [each for each in good if (each.bytes or 0) <= smallest * (1 + TIE)]
    kept = min(small, key=lambda each: each.milliseconds or 0, default=None)
    return tuple(replace(each, kept=each is kept, reason=_reason(each, kept, small)) for each in trials)


def _reason(trial: Trial, kept: Trial | None, small: Sequence[Trial]) -> str:
    if trial.decibels is None:
        return trial.reason  # the error
    if not trial.decibels >= trial.floor or kept is None:
        return f"{trial.decibels:.1f} dB, at least {trial.floor:g} are needed"
    if trial is kept:
        return "the smallest that reaches its floor" if len(small) == 1 else "the fastest of the smallest"
    return f"{'slower' if trial in small else 'larger'} than {kept.name}"
