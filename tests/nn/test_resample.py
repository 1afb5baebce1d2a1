"""Folding and shuffling keep every value in its place."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mobigen.nn.resample import FoldDown, ShuffleUp


def identity(conv):
    """Makes a convolution pass its input through."""
    torch.nn.init.dirac_(conv.weight)
    torch.nn.init.zeros_(conv.bias)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2, 4]), st.sampled_from([1, 3]))
def test_what_is_folded_is_shuffled_back(channels, height, width, factor, kernel):
    down = FoldDown(channels, channels * factor**2, factor, kernel)
    up = ShuffleUp(channels * factor**2, channels, factor, kernel)
    identity(down.conv)
    identity(up.conv)
    x = torch.randn(2, channels, height * factor, width * factor)
    folded = down(x)
    assert folded.shape == (2, channels * factor**2, height, width)
    torch.testing.assert_close(up(folded), x)


def test_a_fold_gathers_a_square_of_pixels():
    down = FoldDown(1, 4, 2)
    identity(down.conv)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert down(x)[0, :, 0, 1].tolist() == [2, 3, 6, 7]
