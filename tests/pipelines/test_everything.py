"""Grids, stability, different masks, run lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.pipelines.clicks import thin_stroke
from mobigen.pipelines.everything import Candidate, agreement, grid, keep_different, run_lengths, stability


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(1, 64))
def test_a_grid_stays_in_the_photo(height, width, side):
    places = list(grid(height, width, side))
    assert 1 <= len(places) <= side * side
    assert all(-0.5 <= x < width and -0.5 <= y < height for x, y in places)


def test_cells_are_square():
    assert len(list(grid(100, 200, 8))) == 8 * 4


def test_stability_is_the_iou_of_two_cuts():
    logits = np.array([[-3.0, -0.5, 0.5, 3.0]])
    assert stability(logits) == pytest.approx(1 / 3)
    assert stability(np.full((2, 2), -9.0)) == 0


def candidate(rows, iou, size=16, agreement=1.0):
    logits = np.full((size, size), -5.0)
    logits[rows] = 5
    return Candidate(logits, (0.0, 0.0), iou, 1.0, agreement)


def test_of_masks_alike_the_best_is_kept():
    worse, better, other = candidate(slice(0, 8), 0.8), candidate(slice(0, 9), 0.9), candidate(slice(9, 16), 0.7)
    assert keep_different([worse, better, other], 0.7) == [better, other]
    assert keep_different([worse, better, other], 0.95) == [better, worse, other]
    assert keep_different([], 0.7) == []


def test_the_best_is_sure_and_agreed_upon():
    agreed, sure = candidate(slice(0, 8), 0.8), candidate(slice(0, 9), 0.9, agreement=0.5)
    assert keep_different([sure, agreed], 0.7) == [agreed]


def test_agreement_is_the_share_of_clicks_in_a_mask_that_mean_it():
    masks = np.zeros((4, 6, 10), bool)
    masks[:2, :, :5] = True  # two clicks on the left mean the left half
    masks[2, 0, 0] = True  # one there means a cell
    masks[3, :, 5:] = True  # one on the right
    cells = np.array([[1.2, 2.0], [3.0, 4.0], [0.0, 0.0], [12.0, 9.0]])  # the last one is beside the photo
    np.testing.assert_allclose(agreement(masks, cells), [2 / 3, 2 / 3, 1, 1])
    assert agreement(np.zeros((1, 6, 10), bool), cells[:1]) == [0]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_run_lengths_come_back(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    found = run_lengths(mask)
    assert found["size"] == [height, width]
    values = np.arange(len(found["counts"])) % 2
    again = np.repeat(values, found["counts"]).reshape(width, height).T
    np.testing.assert_array_equal(again, mask)


def test_a_stroke_is_thinned_evenly():
    assert thin_stroke([(0, 0), (4, 0), (4, 4)], 5) == [(0, 0), (2, 0), (4, 0), (4, 2), (4, 4)]
    assert thin_stroke([(3, 2)], 5) == [(3, 2)]
