"""The gate's arithmetic, against formulas written another way."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tiny_networks import KINDS, examples, results, tiny  # noqa: E402

from mobigen.errors import ParityError  # noqa: E402
from mobigen.export.parity import (  # noqa: E402
    CEILING,
    TrailParity,
    check_meaning,
    check_parity,
    check_results,
    compare,
    compare_trails,
    floor_of,
    psnr,
    relative_error,
)
from mobigen.export.quantize import PRECISIONS  # noqa: E402
from mobigen.export.tasks import Trail  # noqa: E402

NUMBERS = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=30)


@given(NUMBERS, st.randoms())
def test_psnr_is_ten_times_the_logarithm_of_squared_peak_over_mean_squared_error(values, random):
    found = [value + random.uniform(-1, 1) for value in values]
    peak = max(abs(value) for value in values)
    squares = [(a - b) ** 2 for a, b in zip(values, found, strict=True)]
    error = math.fsum(squares) / len(squares)
    if peak == 0 or error == 0:
        return
    expected = min(CEILING, 10 * math.log10(peak**2 / error))
    assert psnr(np.array(values), np.array(found)) == pytest.approx(expected, abs=1e-6)


def test_psnr_of_an_error_of_one_hundredth_of_the_peak_is_forty():
    assert psnr(np.array([1.0, -5.0]), np.array([1.05, -4.95])) == pytest.approx(40)


def test_equal_outputs_reach_the_ceiling():
    assert psnr(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == CEILING
    assert psnr(np.zeros(3), np.zeros(3)) == CEILING


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [([0.0], [1e-9]), ([1.0], [np.nan]), ([np.inf], [np.inf]), ([np.nan], [np.nan])],
)
def test_what_cannot_be_judged_is_worst(reference, candidate):
    assert psnr(np.array(reference), np.array(candidate)) == -np.inf


def test_float32_arrays_are_compared_in_float64():
    reference = np.full(4, 1e30, np.float32)
    assert psnr(reference, reference * np.float32(1.01)) == pytest.approx(40, abs=0.01)


class Offset:
    """A component with two outputs, one of them off by what the input says."""

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, x):
        return {"same": x, "off": np.ones(4) + self.scale * x}


def test_each_output_keeps_its_worst_sample():
    samples = [{"x": np.full(4, value)} for value in (0.001, 0.1, 0.01)]
    decibels = compare(Offset(0), Offset(1), samples)
    assert decibels == {"same": CEILING, "off": pytest.approx(20)}


def test_floors_follow_the_design():
    floors = {name: floor_of(name) for name in PRECISIONS}
    assert {floor for name, floor in floors.items() if name.startswith("float")} == {40.0}
    assert {floor for name, floor in floors.items() if name.startswith("int8")} == {30.0}


def test_the_gate_opens_at_the_floor_and_names_the_output():
    check_parity("decoder", "float32", {"image": 40.0})
    check_parity("decoder", "int8-dynamic", {"image": 30.0})
    for bad in (39.99, -np.inf, np.nan):
        with pytest.raises(ParityError, match=r"denoiser in float16: velocity .* 40 are needed"):
            check_parity("denoiser", "float16", {"other": 90.0, "velocity": bad})


# --- pipelines ----------------------------------------------------------------------------------------------


def trail(steps, result):
    arrays = [np.asarray(step, np.float32) for step in steps]
    return Trail(tuple(arrays), None if result is None else np.asarray(result, np.float32))


def test_trails_are_compared_step_by_step_and_the_worst_request_counts():
    reference = [trail([[1.0], [2.0]], [1.0]), trail([[1.0], [2.0]], [1.0])]
    candidate = [trail([[1.1], [2.0]], [0.9]), trail([[1.0], [2.02]], [1.0])]
    parity = compare_trails(reference, candidate)
    assert parity.steps_db == pytest.approx([20.0, 40.0], abs=1e-3)
    assert parity.results_db == pytest.approx([20.0, CEILING], abs=1e-3)


def test_bare_networks_leave_no_result():
    assert compare_trails([trail([], None)], [trail([], None)]) == TrailParity((), ())
    check_results("litert", (), floor=35.0)


def test_the_worst_result_decides():
    check_results("litert", [90.0, 35.0], floor=35.0)
    for bad in (34.9, -np.inf):
        with pytest.raises(ParityError, match=r"litert graphs .* at least 35"):
            check_results("litert", [90.0, bad], floor=35.0)


def test_a_relative_error_is_the_largest_difference_over_the_peak():
    assert relative_error(np.array([1.0, -4.0]), np.array([1.1, -4.0])) == pytest.approx(0.025)
    assert relative_error(np.zeros(2), np.zeros(2)) == 0
    assert relative_error(np.zeros(2), np.ones(2)) == np.inf
    assert relative_error(np.ones(2), np.array([1.0, np.nan])) == np.inf


class Program:
    """A network in float64 as a component, its outputs scaled."""

    def __init__(self, network, scale=1.0):
        self.network, self.scale = copy.deepcopy(network).double(), scale

    def __call__(self, **inputs):
        outputs = results(self.network, {name: torch.from_numpy(value) for name, value in inputs.items()})
        names = [spec.name for spec in self.network.signature().outputs]
        return {name: value.double().numpy() * self.scale for name, value in zip(names, outputs, strict=True)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.component)
def test_a_program_that_means_something_else_is_refused(kind):
    network = tiny(kind)
    samples = [{name: value.numpy() for name, value in examples(network).items()}]
    assert check_meaning(network, Program(network), samples) < 1e-12
    with pytest.raises(ParityError, match=r"means something else than the network.* differ by 2\.0e-06"):
        check_meaning(network, Program(network, 1 + 2e-6), samples)
