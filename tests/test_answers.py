"""Which answers to a click are much the same as the first mask, and which of several is meant."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mobigen.answers import SURENESS, best_answer, with_first_mask

masks = arrays(bool, (4, 5))


def logits(mask):
    return np.where(mask, 1.5, -0.5).astype(np.float32)


@given(masks.filter(np.any))
def test_a_first_mask_that_the_click_means_goes_with_it(mask):
    np.testing.assert_array_equal(with_first_mask(logits(mask), logits(mask)), SURENESS * logits(mask))


@pytest.mark.parametrize(("shared", "same"), [(7, True), (6, False)])
def test_seven_tenths_have_to_be_shared(shared, same):
    first, found = np.zeros((2, 1, 10), bool)
    first[:], found[:, :shared] = True, True
    assert with_first_mask(logits(found), logits(first)).any() == same


@given(st.integers(1, 5))
def test_masks_apart_do_not_go_together(count):
    first, found = np.zeros((2, 1, 11), bool)
    first[:, :count], found[:, -count:] = True, True
    assert not with_first_mask(logits(found), logits(first)).any()


def test_what_else_stands_out_is_taken_away():
    first, found = np.zeros((2, 8, 8), bool)
    first[:3, :3], first[5:, 2:] = True, True
    found[:3, :4] = True  # the first of two objects, and a little beside it
    other = np.zeros((8, 8), bool)
    other[5:, 2:] = True
    expected = SURENESS * np.where(other, -1.5, logits(first))
    np.testing.assert_array_equal(with_first_mask(logits(found), logits(first)), expected)


@given(masks, masks)
def test_neither_goes_with_nothing(one, other):
    nothing = logits(np.zeros((4, 5), bool))
    assert not with_first_mask(nothing, logits(one)).any()
    assert not with_first_mask(logits(other), nothing).any()


@given(arrays(bool, (3, 4, 5)), arrays(np.float32, 3, elements=st.floats(0, 1, width=32)))
def test_a_first_click_takes_what_is_expected_to_be_best(answers, expected):
    assert best_answer(answers, expected) == expected.argmax()


def test_a_further_click_takes_what_is_like_the_mask_so_far_where_little_is_lost():
    answers = np.zeros((3, 2, 10), bool)
    answers[0, :, :3], answers[1, :, :8], answers[2, :, 9:] = True, True, True
    before = answers[1]
    assert best_answer(answers, np.array([0.8, 0.78, 0.1], np.float32), before) == 1
    assert best_answer(answers, np.array([0.8, 0.7, 0.1], np.float32), before) == 0  # 3 of 8 are shared: 0.0375 + 0.8
    assert best_answer(answers, np.array([0.8, 0.74, 0.1], np.float32), before) == 1


@given(masks)
def test_nothing_is_like_nothing(mask):
    nothing = np.zeros((4, 5), bool)
    answers = np.stack([mask | True, nothing])
    assert best_answer(answers, np.array([0.5, 0.45], np.float32), nothing) == 1


def test_a_box_takes_the_mask_that_fills_it_and_nothing_else_where_little_is_lost():
    part, whole, piece = (np.zeros((8, 8), bool) for _ in range(3))
    part[2:5, 2:6], whole[:, 1:7], piece[2:5, 2:4] = True, True, True
    corners = np.array([[2.0, 2.0], [5.0, 4.0]])
    masks = np.stack([whole, part, piece])
    assert best_answer(masks, np.float32([0.9, 0.7, 0.9]), corners=corners) == 1
    assert best_answer(masks, np.float32([0.95, 0.4, 0.1]), corners=corners) == 0
    assert best_answer(masks, np.float32([0.9, 0.7, 0.89])) == 0


@given(masks, st.tuples(st.floats(-1, 4), st.floats(-1, 3)), st.tuples(st.floats(0, 4), st.floats(0, 3)))
def test_a_box_may_lie_anywhere_and_hold_nothing(mask, first, sides):
    corners = np.array([first, np.add(first, sides)])
    assert best_answer(np.stack([mask & False, mask]), np.float32([0.5, 0.51]), corners=corners) == 1
