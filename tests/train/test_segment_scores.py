"""Scores of masks against plain formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.answers import iou
from mobigen.train.segment_scores import boundary_f, mean, next_click, saliency_scores


def block(rows, columns, size=100):
    mask = np.zeros((size, size), bool)
    mask[rows, columns] = True
    return mask


SQUARE = block(slice(20, 60), slice(30, 70))


def test_a_mean_has_four_digits():
    assert mean(each / 3 for each in (1, 0)) == 0.1667


def test_overlap():
    assert iou(SQUARE, block(slice(20, 60), slice(50, 90))) == pytest.approx(1 / 3)
    assert iou(SQUARE, ~SQUARE) == 0
    assert iou(SQUARE & ~SQUARE, SQUARE & ~SQUARE) == 1


def test_saliency_that_is_right_and_that_is_not():
    perfect = saliency_scores([SQUARE.astype(np.float32)], [SQUARE])
    assert perfect == {"f_beta": pytest.approx(1), "mae": 0}
    half = np.where(block(slice(20, 60), slice(30, 50)), 0.9, 0.1).astype(np.float32)
    found = saliency_scores([half], [SQUARE])
    assert found["f_beta"] == pytest.approx(1.3 * 0.5 / (0.3 + 0.5))
    assert found["mae"] == pytest.approx(np.abs(half - SQUARE).mean(), rel=1e-5)


def test_saliency_takes_the_best_threshold():
    probability = np.where(SQUARE, 0.3, 0.2).astype(np.float32)
    assert saliency_scores([probability], [SQUARE])["f_beta"] == pytest.approx(1)


def test_borders_near_and_far():
    assert boundary_f(SQUARE, SQUARE) == 1
    assert boundary_f(SQUARE, block(slice(21, 60), slice(30, 70))) == 1  # within the tolerance of a pixel
    assert boundary_f(SQUARE, block(slice(25, 55), slice(35, 65))) == 0
    assert 0.3 < boundary_f(SQUARE, block(slice(20, 60), slice(30, 60))) < 0.95
    assert boundary_f(SQUARE & ~SQUARE, SQUARE & ~SQUARE) == 1
    assert boundary_f(SQUARE & ~SQUARE, SQUARE) == 0


def test_the_next_click_is_in_the_middle_of_the_larger_error():
    (x, y), label = next_click(np.zeros_like(SQUARE), SQUARE)
    assert label == 1
    assert abs(x - 49.5) <= 1
    assert abs(y - 39.5) <= 1
    (x, y), label = next_click(SQUARE | block(slice(70, 99), slice(0, 29)), SQUARE | block(slice(0, 5), slice(0, 5)))
    assert label == 0
    assert y > 70
    assert next_click(SQUARE, SQUARE)[1] == -1


@given(st.integers(0, 100))
def test_a_random_click_is_somewhere_in_the_error(seed):
    (x, y), label = next_click(np.zeros_like(SQUARE), SQUARE, np.random.default_rng(seed))
    assert label == 1
    assert SQUARE[int(y), int(x)]
