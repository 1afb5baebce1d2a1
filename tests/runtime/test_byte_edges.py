"""Bytes at the edges: what they stand for, and how a component of bytes is called with floats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.errors import ExportError, InputError
from mobigen.runtime.byte_edges import ByteEdges, byte_signature, from_bytes, to_bytes
from mobigen.signature import Signature, TensorSpec

RANGES = [(0.0, 1.0), (-1.0, 1.0), (-3.0, 0.5)]


def picture(low, high, name="image"):
    return TensorSpec(name, (2, 3), low=low, high=high)


@pytest.mark.parametrize("span", RANGES)
def test_the_ends_and_all_bytes_come_back(span):
    spec = picture(*span)
    all_bytes = np.arange(256, dtype=np.uint8)
    values = from_bytes(all_bytes, spec)
    assert values.dtype == np.float32
    assert (values[0], values[-1]) == pytest.approx(span)
    assert np.array_equal(to_bytes(values, spec), all_bytes)


@given(st.sampled_from(RANGES), st.lists(st.floats(-9, 9, width=32), min_size=1))
def test_a_value_goes_to_the_nearest_byte(span, values):
    spec, low, high = picture(*span), *span
    values = np.array(values, np.float32)
    back = from_bytes(to_bytes(values, spec), spec)
    assert np.abs(back - values.clip(low, high)).max() <= (high - low) / 255 / 2 * 1.001


def test_the_signature_of_bytes():
    signature = Signature("c", (picture(-1.0, 1.0), TensorSpec("ids", (1, 4), "int32")), (picture(0.0, 1.0, "result"),))
    found = byte_signature(signature)
    assert [spec.dtype for spec in (*found.inputs, *found.outputs)] == ["uint8", "int32", "uint8"]
    assert (found.inputs[0].low, found.inputs[0].high) == (-1.0, 1.0)


@pytest.mark.parametrize("span", [(None, None), (0.0, None), (None, 1.0), (0.5, 1.0), (-1.0, 0.0)])
def test_a_range_that_bytes_cannot_hold_is_refused(span):
    with pytest.raises(ExportError, match="bytes cannot stand for latent"):
        byte_signature(Signature("c", (picture(*span, "latent"),), (picture(0.0, 1.0, "result"),)))


class Inverted:
    """A component of bytes: the negative of a picture."""

    signature = byte_signature(Signature("c", (picture(-1.0, 1.0),), (picture(0.0, 1.0, "result"),)))

    def __call__(self, image):
        assert image.dtype == np.uint8
        return {"result": 255 - image}


def test_a_component_of_bytes_is_called_with_floats():
    signature = Signature("c", (picture(-1.0, 1.0),), (picture(0.0, 1.0, "result"),))
    component = ByteEdges(Inverted(), signature)
    assert component.signature is signature
    values = np.array([[-1, -0.5, 0], [0.5, 1, 7]], np.float32)
    expected = [[1, 0.75, 0.5], [0.25, 0, 0]]
    assert component(image=values)["result"] == pytest.approx(np.array(expected), abs=0.5 / 255 + 1e-6)
    with pytest.raises(InputError):
        component(image=values[:1])
