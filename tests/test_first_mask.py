"""Which answers to a click are much the same as the first mask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mobigen.first_mask import means_first_mask

masks = arrays(bool, (4, 5))


@given(masks, masks)
def test_it_is_symmetric_and_true_of_the_mask_itself(one, other):
    assert means_first_mask(one, one)
    assert means_first_mask(one, other) == means_first_mask(other, one)


@pytest.mark.parametrize(("shared", "same"), [(7, True), (6, False)])
def test_seven_tenths_have_to_be_shared(shared, same):
    first, found = np.zeros((2, 10), bool)
    first[:], found[:shared] = True, True
    assert means_first_mask(found, first) is same


@given(st.integers(1, 5))
def test_masks_apart_are_not_the_same(count):
    first, found = np.zeros((2, 10), bool)
    first[:count], found[-count:] = True, True
    assert not means_first_mask(found, first)
