"""Wall time: loading, the first run, and the runs after it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mobigen.runtime import Component

__all__ = ["Sustained", "Timing", "clock", "p90", "sustain", "time_component"]

RUNS = 20
WINDOW = 30.0  # seconds of a sustained run that one median is taken of


@dataclass(frozen=True)
class Timing:
    """How long a component takes, in milliseconds of wall time."""

    threads: int
    load_ms: float  # opening the file and preparing the graph
    first_run_ms: float
    median_run_ms: float  # of the runs after the first


@dataclass(frozen=True)
class Sustained:
    """Runs without a pause, as a game or a camera makes them: a phone grows warm and slows down.

    Attributes:
        runs: how many there were.
        window_ms: the median of each window of half a minute, in order; the last may be shorter.
        slowdown: the last window's median over the first's; 1 is none.
    """

    minutes: float
    runs: int
    window_ms: Sequence[float]
    slowdown: float


def clock(prepare: Callable[[], Callable[[], object]], runs: int) -> list[float]:
    """Milliseconds of preparing something, of its first run, and of `runs` runs more, in this order."""
    marks = [time.perf_counter()]
    run = prepare()
    marks.append(time.perf_counter())
    for _ in range(runs + 1):
        run()
        marks.append(time.perf_counter())
    return [1e3 * (end - start) for start, end in pairwise(marks)]


def time_component(
    open_component: Callable[[], Component], inputs: Mapping[str, np.ndarray], threads: int, runs: int = RUNS
) -> Timing:
    """Open a component, run it once, then `runs` times more on the same inputs."""

    def prepare() -> Callable[[], object]:
        component = open_component()
        return lambda: component(**inputs)

    load, first, *rest = clock(prepare, runs)
    return Timing(threads, round(load, 2), round(first, 2), round(statistics.median(rest), 2))


def p90(values: Sequence[float]) -> float:
    """What nine tenths of the values are below, interpolated; at least two values."""
    return statistics.quantiles(values, n=10, method="inclusive")[-1]


def sustain(run: Callable[[], object], minutes: float) -> Sustained:
    """Run again and again for some minutes."""
    windows: list[list[float]] = []
    begin = mark = time.perf_counter()
    while mark - begin < 60 * minutes:
        run()
        now = time.perf_counter()
        if len(windows) <= (mark - begin) // WINDOW:
            windows.append([])
        windows[-1].append(1e3 * (now - mark))
        mark = now
    medians = [round(statistics.median(window), 3) for window in windows]
    return Sustained(minutes, sum(map(len, windows)), medians, round(medians[-1] / medians[0], 3))
