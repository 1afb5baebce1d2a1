"""Random inputs stay inside what a bundle states."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mobigen.bench.inputs import random_inputs, random_picture
from mobigen.signature import Signature, TensorSpec

OUTPUT = (TensorSpec("y", (1,)),)


def signature(*specs):
    return Signature("component", specs, OUTPUT)


@given(st.sampled_from(["float32", "int32", "uint8"]), st.integers(0, 100), st.integers(0, 100))
def test_within_a_range(dtype, low, size):
    (values,) = random_inputs(signature(TensorSpec("x", (1, 50), dtype, low, low + size))).values()
    assert (values.dtype, values.shape) == (dtype, (1, 50))
    assert low <= values.min() <= values.max() <= low + size


def test_whole_numbers_reach_both_ends():
    (values,) = random_inputs(signature(TensorSpec("x", (1, 1000), "int32", 0, 3))).values()
    assert set(values.ravel().tolist()) == {0, 1, 2, 3}


def test_without_a_range():
    found = random_inputs(
        signature(TensorSpec("a", (1, 1000)), TensorSpec("b", (1, 1000), "int32"), TensorSpec("c", (1, 1000), "uint8"))
    )
    assert abs(found["a"].std() - 1) < 0.1
    assert not found["b"].any()  # an index that is in any table
    assert found["c"].max() > 250


def test_the_same_seed_gives_the_same_arrays():
    one = signature(TensorSpec("x", (1, 8)), TensorSpec("z", (1, 8)))
    first, second = random_inputs(one), random_inputs(one)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["x"], first["z"])
    assert not np.array_equal(first["x"], random_inputs(one, seed=1)["x"])


def test_a_picture_is_wide_before_it_is_high():
    assert random_picture(5, 3).shape == (3, 5, 3)
    assert random_picture(64, 64).max() > 250
    assert np.array_equal(random_picture(5, 3), random_picture(5, 3))
