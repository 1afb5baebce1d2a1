"""Drawn stickers."""

import cv2
import numpy as np
import pytest

from mobigen.data.recolour import COLOURS, colour_shares
from mobigen.data.shards import read_shards
from mobigen.data.stickers import STYLES
from mobigen.data.synthetic import SHAPES, draw_shape, write_synthetic_shards


def test_a_circle_has_its_area():
    opacity = draw_shape("circle", "red", 128, radius=0.25)[..., 3] / 255
    assert opacity.sum() == pytest.approx(np.pi * 32**2, rel=0.05)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_shape_is_of_one_colour(colour):
    assert colour_shares(draw_shape("square", colour, 32))[colour] == 1


def test_shards_repeat_and_vary(tmp_path):
    for folder, seed in (("one", 0), ("same", 0), ("other", 1)):
        write_synthetic_shards(tmp_path / folder, 20, size=16, seed=seed)
    one, same, other = (list(read_shards(tmp_path / folder)) for folder in ("one", "same", "other"))
    assert one == same
    assert one != other
    assert {sample.record["style"] for sample in one} == set(STYLES)
    assert {sample.record["name"] for sample in one} <= set(SHAPES)
    decoded = cv2.imdecode(np.frombuffer(one[0].image, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded.shape == (16, 16, 4)
