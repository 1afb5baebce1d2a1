"""Clicks and boxes as maps, against formulas written point by point."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobigen.nn.prompts import BOX_END, BOX_START, NEGATIVE, PADDING, POSITIVE, PromptMaps

SIZE, CELLS = 64, 16


def maps(points, labels):
    return PromptMaps(SIZE, CELLS)(torch.tensor([points], dtype=torch.float32), torch.tensor([labels]))[0]


def bumps(points):
    """The sum of Gaussians, one cell wide, cut at 1."""
    return torch.tensor(
        [
            [
                min(1.0, sum(math.exp(-(((column + 0.5) * 4 - x - 0.5) ** 2 + ((row + 0.5) * 4 - y - 0.5) ** 2) / 32)
                             for x, y in points))
                for column in range(CELLS)
            ]
            for row in range(CELLS)
        ],
        dtype=torch.float32,
    )  # fmt: skip


places = st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))


@given(st.lists(st.tuples(places, st.sampled_from([POSITIVE, NEGATIVE, PADDING])), min_size=1, max_size=5))
def test_clicks_are_bumps_by_their_label(clicks):
    found = maps([list(place) for place, _ in clicks], [label for _, label in clicks])
    for index, wanted in enumerate((POSITIVE, NEGATIVE)):
        expected = bumps([place for place, label in clicks if label == wanted])
        torch.testing.assert_close(found[index], expected, rtol=1e-4, atol=1e-5)
    assert found[2:].abs().max() == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_box_has_an_inside_and_an_outside(order):
    corners = [([8, 16], BOX_START), ([39, 55], BOX_END)]
    points, labels = zip(*(corners[index] for index in order), strict=True)
    inside, outside = maps(list(points), list(labels))[2:]
    assert inside[5:13, 3:9].min() == 1
    assert inside[:3].max() == inside[15:].max() == inside[:, :1].max() == inside[:, 11:].max() == 0
    torch.testing.assert_close(inside + outside, torch.ones(CELLS, CELLS))


def test_a_box_and_clicks_do_not_mix():
    both = maps([[8, 16], [39, 55], [20, 30]], [BOX_START, BOX_END, POSITIVE])
    torch.testing.assert_close(both[:2], maps([[20, 30]], [POSITIVE])[:2])
    torch.testing.assert_close(both[2:], maps([[8, 16], [39, 55]], [BOX_START, BOX_END])[2:])


def test_maps_are_the_same_in_float16():
    module, points = PromptMaps(512, 128), torch.tensor([[[511.0, 3.0], [250.25, 77.5]]])
    labels = torch.tensor([[POSITIVE, NEGATIVE]])
    wanted = module(points, labels)
    assert (module.half()(points.half(), labels).float() - wanted).abs().max() < 0.05
