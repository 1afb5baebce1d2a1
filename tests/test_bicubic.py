"""Bicubic weights against formulas."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mobigen.bicubic import resize_matrix

lengths = st.integers(4, 40)


@given(lengths, lengths)
def test_rows_add_up_to_one(before, after):
    matrix = resize_matrix(before, after)
    assert matrix.shape == (after, before)
    np.testing.assert_allclose(matrix.sum(1), 1)


@given(lengths, lengths)
def test_it_is_the_same_from_both_ends(before, after):
    np.testing.assert_allclose(resize_matrix(before, after)[::-1, ::-1], resize_matrix(before, after), atol=1e-12)


@given(st.integers(2, 40))
def test_the_same_size_changes_nothing(length):
    np.testing.assert_allclose(resize_matrix(length, length), np.eye(length), atol=1e-12)


def test_the_weights_of_keys_enlarging_by_two():
    """At a quarter and three quarters between samples: Keys 1981, equation 15 with a = -1/2."""
    middle = resize_matrix(8, 16)[7]
    np.testing.assert_allclose(middle[2:6], [-0.0703125, 0.8671875, 0.2265625, -0.0234375], atol=1e-12)
    assert np.count_nonzero(middle) == 4


def test_the_weights_of_keys_reducing_by_two():
    """The cubic at half steps, twice as wide: 8 samples."""
    at = np.array([0.25, 0.75, 1.25, 1.75])
    inner = 1.5 * at[:2] ** 3 - 2.5 * at[:2] ** 2 + 1
    outer = -0.5 * at[2:] ** 3 + 2.5 * at[2:] ** 2 - 4 * at[2:] + 2
    half = np.concatenate([inner, outer]) / 2
    np.testing.assert_allclose(resize_matrix(20, 10)[5, 7:15], [*half[::-1], *half], atol=1e-12)


def test_a_straight_line_stays_straight_inside():
    line = np.arange(24.0)
    for after, step in ((12, 2), (8, 3), (6, 4), (48, 0.5)):
        expected = (np.arange(after) + 0.5) * step - 0.5
        inside = slice(3, -3) if step >= 1 else slice(5, -5)
        np.testing.assert_allclose((resize_matrix(24, after) @ line)[inside], expected[inside], atol=1e-9)
