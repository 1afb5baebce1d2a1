"""Wall time, by a clock that the test moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.bench import timing
from mobigen.bench.timing import Sustained, Timing, clock, p90, sustain, time_component


@pytest.fixture
def now(monkeypatch):
    """The seconds of the clock."""
    seconds = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: seconds[0])
    return seconds


def takes(now, lengths):
    """Something that takes these seconds, one after the other."""
    left = iter(lengths)

    def run(**inputs):
        now[0] += next(left)

    return run


def test_load_first_run_and_the_rest_are_apart(now):
    def load():
        now[0] += 2.0
        return takes(now, [0.5, *[0.001, 0.9, 0.003, 0.002, 0.002]])

    found = time_component(load, {"x": 1}, threads=3, runs=5)
    assert found == Timing(threads=3, load_ms=2000.0, first_run_ms=500.0, median_run_ms=2.0)


def test_a_component_gets_its_inputs():
    seen = []
    time_component(lambda: lambda **inputs: seen.append(inputs), {"x": 1}, threads=1, runs=2)
    assert seen == [{"x": 1}] * 3


def test_every_run_is_on_the_clock(now):
    def prepare():
        now[0] += 1
        return takes(now, [2, 3, 4])

    assert clock(prepare, 2) == [1000, 2000, 3000, 4000]


@given(st.lists(st.floats(0, 1e4), min_size=20, max_size=60))
def test_p90_is_numpys(values):
    assert p90(values) == pytest.approx(np.percentile(values, 90))


def test_a_sustained_run_is_a_median_a_half_minute(now):
    lengths = [10.0, 10.0, 10.0, 12.0, 12.0, 12.0, 15.0, 15.0]  # the seventh begins at 66 s, the eighth at 81 s
    found = sustain(takes(now, lengths), minutes=1.6)
    assert found == Sustained(minutes=1.6, runs=8, window_ms=[10000, 12000, 15000], slowdown=1.5)


def test_a_short_sustained_run_has_one_window(now):
    found = sustain(takes(now, [0.5] * 9), minutes=0.05)
    assert (found.runs, found.window_ms, found.slowdown) == (6, [500.0], 1.0)
