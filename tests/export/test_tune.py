"""Tuning: what is kept, what is said of the others, and that time is taken fairly. With components of a few lines."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.errors import ExportError, ParityError
from mobigen.export.tune import Candidate, Trial, _judge, choose, time_in_rounds, tune
from mobigen.signature import Signature, TensorSpec

SIGNATURE = Signature("doubling", (TensorSpec("x", (4,)),), (TensorSpec("y", (4,)),))
SAMPLES = [{"x": np.array([1, 2, 3, 4], np.float32)}, {"x": np.array([-1, 5, 0, 2], np.float32)}]


class Doubling:
    """2 x, wrong by `error` and after a pause."""

    signature = SIGNATURE

    def __init__(self, error=0.0, seconds=0.0, seen=None):
        self.error, self.seconds, self.seen = error, seconds, seen

    def __call__(self, x):
        time.sleep(self.seconds)
        if self.seen is not None:
            self.seen.append(self)
        return {"y": 2 * x + self.error}


def candidate(name, size, error=0.0, seconds=0.0, floor=30.0, seen=None):
    return Candidate(
        name, floor, lambda path: path.write_bytes(bytes(size)), lambda path: Doubling(error, seconds, seen)
    )


def failing(name, where):
    def fail(path):
        raise ExportError(f"{name} has no kernel")

    good = candidate(name, 10)
    return Candidate(name, 30.0, *((fail, good.open) if where == "write" else (good.write, fail)))


def test_the_smallest_that_reaches_its_floor_is_kept(tmp_path):
    candidates = [
        candidate("float32", 4000, seconds=0.004),
        candidate("int8", 1000, error=0.01, seconds=0.002),
        candidate("int4", 500, error=1.0),
        failing("odd", "write"),
    ]
    trials = tune(Doubling(), candidates, SAMPLES, tmp_path, rounds=3)
    assert [trial.name for trial in trials] == ["float32", "int8", "int4", "odd"]
    assert [trial.kept for trial in trials] == [False, True, False, False]
    assert [trial.bytes for trial in trials] == [4000, 1000, 500, None]
    wide, kept, poor, odd = trials
    assert choose(trials) is kept
    assert wide.decibels == 200
    assert kept.decibels == pytest.approx(20 * np.log10(8 / 0.01), abs=0.01)  # the worst of both samples
    assert poor.decibels == pytest.approx(20 * np.log10(8), abs=0.01)
    assert wide.ratio == 1
    assert 0.3 < kept.ratio < 0.8
    assert odd == Trial("odd", 30.0, reason="odd has no kernel")
    assert [trial.reason for trial in trials] == [
        "larger than int8",
        "the smallest that reaches its floor",
        "18.1 dB, at least 30 are needed",
        "odd has no kernel",
    ]


def test_of_nearly_equal_sizes_the_fastest_is_kept(tmp_path):
    candidates = [
        candidate("float32", 4000),
        candidate("slow", 1000, seconds=0.006),
        candidate("fast", 1015),
        candidate("large", 1030),
    ]
    trials = tune(Doubling(), candidates, SAMPLES, tmp_path, rounds=3)
    assert choose(trials).name == "fast"
    assert [trial.reason for trial in trials] == [
        "larger than fast",
        "slower than fast",
        "the fastest of the smallest",
        "larger than fast",
    ]


@pytest.mark.parametrize("where", ["write", "open"])
def test_without_the_first_there_are_no_ratios(where, tmp_path):
    trials = tune(Doubling(), [failing("float32", where), candidate("int8", 10)], SAMPLES, tmp_path, rounds=1)
    assert (trials[0].milliseconds, trials[1].ratio) == (None, None)
    assert trials[1].kept
    assert trials[1].milliseconds > 0


def test_when_none_is_good_enough_each_is_told_of(tmp_path):
    candidates = [candidate("float32", 10, error=1.0, floor=40.0), failing("int8", "write")]
    trials = tune(Doubling(), candidates, SAMPLES, tmp_path, rounds=1)
    with pytest.raises(ParityError, match=r"no form is good enough: float32: 18\.1 dB, at least 40 .*; int8: int8 has"):
        choose(trials)


def test_numbers_that_are_not_finite_are_not_good_enough(tmp_path):
    (trial,) = tune(Doubling(), [candidate("float32", 10, error=np.nan)], SAMPLES, tmp_path, rounds=1)
    assert (trial.kept, trial.decibels) == (False, -np.inf)


def test_a_mistake_in_a_candidate_is_not_hidden(tmp_path):
    broken = Candidate("broken", 30.0, lambda path: path.write_bytes(b""), lambda path: None)
    with pytest.raises(TypeError):
        tune(Doubling(), [broken], SAMPLES, tmp_path)


def test_a_folder_counts_with_all_its_files(tmp_path):
    def write(path):
        path.mkdir()
        (path / "weights").write_bytes(bytes(70))
        (path / "program").write_bytes(bytes(7))

    package = Candidate("float32", 30.0, write, lambda path: Doubling(), suffix=".mlpackage")
    (trial,) = tune(Doubling(), [package], SAMPLES, tmp_path, rounds=1)
    assert trial.bytes == 77
    assert (tmp_path / "float32.mlpackage").is_dir()


def test_rounds_go_over_all_so_that_noise_hits_all_alike():
    seen = []
    components = {name: Doubling(seen=seen) for name in "ab"}
    times = time_in_rounds(components, SAMPLES[0], rounds=2)
    a, b = components.values()
    assert [component is a for component in seen] == [True, False, *[True] * 3, *[False] * 3, *[True] * 3, *[False] * 3]
    assert b in seen
    assert set(times) == {"a", "b"}


trials = st.builds(
    Trial,
    name=st.uuids().map(str),
    floor=st.just(30.0),
    bytes=st.integers(1, 3000),
    decibels=st.floats(0, 100),
    milliseconds=st.floats(0.1, 9),
)


@given(st.lists(trials, min_size=1, max_size=8))
def test_no_other_that_is_good_enough_is_clearly_smaller_or_as_small_and_faster(several):
    judged = _judge(tuple(several))
    good = [trial for trial in judged if trial.decibels >= 30]
    assert sum(trial.kept for trial in judged) == bool(good)
    assert all(trial.reason for trial in judged)
    if good:
        kept, smallest = choose(judged), min(trial.bytes for trial in good)
        assert kept in good
        assert kept.bytes <= 1.02 * smallest
        assert all(kept.milliseconds <= each.milliseconds for each in good if each.bytes <= 1.02 * smallest)
