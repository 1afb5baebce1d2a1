"""The gate's arithmetic, against formulas written another way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.errors import ParityError
from mobigen.export.parity import CEILING, check_parity, compare, floor_of, psnr
from mobigen.export.quantize import PRECISIONS

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
