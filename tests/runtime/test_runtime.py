"""What all backends share."""

import numpy as np
import pytest

from mobigen.errors import InputError
from mobigen.runtime import BACKENDS, check_inputs
from mobigen.signature import Signature, TensorSpec

SIGNATURE = Signature(
    "mixer", (TensorSpec("left", (1, 2)), TensorSpec("right", (1,), "int32")), (TensorSpec("mixed", (1,)),)
)


def inputs(**changes):
    return {"left": np.zeros((1, 2), np.float32), "right": np.zeros(1, np.int32)} | changes


def test_litert_is_the_first_backend():
    assert next(iter(BACKENDS)) == "litert"


def test_fitting_inputs_pass():
    check_inputs(SIGNATURE, inputs())


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "mixer takes left, right; it was given nothing"),
        ({"left": np.zeros((1, 2), np.float32)}, "it was given left"),
        (inputs(other=np.zeros(1)), "it was given left, right, other"),
        (inputs(left=np.zeros((2, 1), np.float32)), r"left is float32 \(2, 1\); accepted: float32 \(1, 2\)"),
        (inputs(left=np.zeros((1, 2))), "left is float64"),
        (inputs(right=np.zeros(1, np.int64)), "right is int64"),
    ],
)
def test_other_inputs_are_refused(given, complaint):
    with pytest.raises(InputError, match=complaint):
        check_inputs(SIGNATURE, given)
