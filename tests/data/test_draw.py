"""Random indices."""

import torch

from mobigen.data.draw import draw_indices, host_generator


def test_indices_are_in_range_reach_everything_and_repeat():
    drawn = draw_indices(5, 200, torch.Generator().manual_seed(0))
    assert set(drawn.tolist()) == set(range(5))
    assert torch.equal(drawn, draw_indices(5, 200, torch.Generator().manual_seed(0)))


def test_on_the_host_python_draws_from_the_same_generator():
    generator = torch.Generator().manual_seed(0)
    assert host_generator(generator) is generator
