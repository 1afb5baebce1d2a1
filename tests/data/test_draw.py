"""Random indices."""

import torch

from mobigen.data.draw import draw_indices


def test_indices_are_in_range_reach_everything_and_repeat():
    drawn = draw_indices(5, 200, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == set(range(5))
    assert torch.equal(drawn, draw_indices(5, 200, torch.Generator().manual_seed(0)))
