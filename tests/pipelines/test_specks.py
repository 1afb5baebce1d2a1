"""Specks of masks: what goes, and what stays since it was clicked on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.pipelines.specks import without_specks

NO_POINTS, NO_LABELS = np.zeros((0, 2)), np.zeros(0, np.int32)


def drawn():
    """A block with a hole of a cell, a speck of a cell and another block apart: (40, 40)."""
    logits = np.full((40, 40), -3.0, np.float32)
    logits[5:25, 5:25] = 2.0
    logits[10, 12] = -1.0
    logits[2, 30] = 1.0
    logits[30:36, 30:36] = 2.0
    return logits


def test_small_islands_and_holes_go_and_the_rest_stays():
    found = without_specks(drawn(), NO_POINTS, NO_LABELS)
    expected = drawn()
    expected[10, 12], expected[2, 30] = 1.0, -1.0
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("click", "label", "kept"), [((30, 2), 1, (2, 30)), ((12, 10), 0, (10, 12))])
def test_what_was_clicked_on_stays(click, label, kept):
    found = without_specks(drawn(), np.array([click], float), np.array([label]))
    assert found[kept] == drawn()[kept]
    assert (found != drawn()).sum() == 1


@pytest.mark.parametrize(("click", "label"), [((30, 2), 0), ((12, 10), 1)])
def test_a_click_that_speaks_against_a_speck_does_not_keep_it(click, label):
    assert (without_specks(drawn(), np.array([click], float), np.array([label])) != drawn()).sum() == 2


def test_islands_outside_the_box_go_if_there_is_one_inside():
    box, labels = np.array([[4.0, 4.0], [26.0, 26.0]]), np.array([2, 3])
    found = without_specks(drawn(), box, labels)
    assert not (found[26:] > 0).any()
    assert (found[5:25, 5:25] > 0).all()
    nowhere = without_specks(drawn(), np.array([[0.0, 36.0], [3.0, 39.0]]), labels)
    assert (nowhere[30:36, 30:36] > 0).all()


@given(st.integers(0, 2**32 - 1), st.floats(-2, 2))
def test_only_signs_change(seed, shift):
    logits = np.random.default_rng(seed).normal(shift, 1, (12, 12)).astype(np.float32)
    found = without_specks(logits, NO_POINTS, NO_LABELS)
    np.testing.assert_array_equal(np.abs(found), np.abs(logits))


def test_a_mask_of_nothing_or_everything_stays():
    for value in (-1.0, 1.0):
        logits = np.full((8, 8), value, np.float32)
        np.testing.assert_array_equal(without_specks(logits, NO_POINTS, NO_LABELS), logits)
