"""Scores against values worked out by hand."""

import numpy as np
import pytest
import torch

from mobigen.data.synthetic import draw_shape
from mobigen.train.evaluate import COLOURS
from mobigen.train.scores import frechet_distance, has_colour, retrieval_accuracy, to_uint8


def test_retrieval_counts_pictures_whose_caption_wins():
    texts = torch.eye(4)
    images = texts[[0, 1, 3, 3]]  # the third picture looks like the fourth caption
    assert retrieval_accuracy(images, texts, ["a", "b", "c", "d"], among=4) == 0.75


def test_captions_of_the_same_name_are_no_rivals():
    texts = torch.eye(3)
    images = texts[[1, 1, 2]]  # the first looks like the second, which has its name
    assert retrieval_accuracy(images, texts, ["fox", "fox", "car"], among=3) == pytest.approx(2 / 3)
    assert retrieval_accuracy(images, texts, ["fox", "hen", "car"], among=3) == pytest.approx(2 / 3)
    assert retrieval_accuracy(texts[[1, 0, 2]], texts + 0.1, ["fox", "fox", "car"], among=3) == pytest.approx(1 / 3)


def test_frechet_distance_of_gaussians_with_known_moments():
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(20000, 3, generator=generator)
    second = torch.randn(20000, 3, generator=generator) * torch.tensor([1.0, 2.0, 3.0]) + torch.tensor([1.0, 0, 0])
    wanted = 1 + 0 + (2 - 1) ** 2 + (3 - 1) ** 2  # |mean|^2 + sum (s1 - s2)^2 for diagonal covariances
    assert frechet_distance(first, second) == pytest.approx(wanted, rel=0.05)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_shape_has_its_own_colour_and_no_other(colour):
    shape = draw_shape("circle", colour, 64)
    assert [name for name in COLOURS if has_colour(shape, name)] == [colour]


def test_outlines_do_not_hide_a_colour():
    shape = draw_shape("circle", "red", 64)
    shape[:, :20, :3] = 10  # dark over nearly a third
    assert has_colour(shape, "red")


def test_pixels_are_clamped_and_rounded():
    straight = torch.tensor([-3.0, -1.0, 0.0, 1.0]).reshape(1, 4, 1, 1)
    np.testing.assert_array_equal(to_uint8(straight)[0, 0, 0], [0, 0, 128, 255])
