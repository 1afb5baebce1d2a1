"""Luma and chroma there and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.luma import from_rgb, luma, to_rgb

channel = st.floats(0, 1)


@given(channel, channel, channel)
def test_there_and_back(red, green, blue):
    assert to_rgb(*from_rgb(red, green, blue)) == pytest.approx((red, green, blue), abs=1e-9)
    assert from_rgb(red, green, blue)[0] == pytest.approx(luma(red, green, blue))


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [  # as MATLAB's rgb2ycbcr gives them
        ((0, 0, 0), (16, 128, 128)),
        ((1, 1, 1), (235, 128, 128)),
        ((1, 0, 0), (81, 90, 240)),
        ((0, 1, 0), (145, 54, 34)),
        ((0, 0, 1), (41, 240, 110)),
    ],
)
def test_the_corners_of_the_cube(rgb, expected):
    assert np.rint(np.array(from_rgb(*rgb)) * 255).tolist() == list(expected)
