"""Simulated prompts, against OpenCV's distance transform and plain loops."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobigen.data.clicks import bounding_boxes, correction, depth, draw_box, draw_click, draw_stroke, surroundings

SIZE, CELLS = 128, 32


def blobs(seed, count=3):
    """Random regions (count, CELLS, CELLS) of bool, in lumps."""
    noise = np.random.default_rng(seed).normal(size=(count, CELLS, CELLS))
    return torch.from_numpy(np.stack([cv2.GaussianBlur(each, (0, 0), 2) > 0.05 for each in noise]))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@given(st.integers(0, 1000))
def test_depth_is_the_chessboard_distance(seed):
    regions = blobs(seed)
    for region, found in zip(regions, depth(regions), strict=True):
        framed = np.pad(region.numpy().astype(np.uint8), 1)
        wanted = cv2.distanceTransform(framed, cv2.DIST_C, 3)[1:-1, 1:-1]
        np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_depth_stops_where_it_is_told():
    assert depth(torch.ones(1, CELLS, CELLS, dtype=torch.bool), 4).max() == 4


@given(st.integers(0, 1000))
def test_a_click_falls_into_its_region(seed):
    regions = blobs(seed)
    points, deep = draw_click(regions, SIZE, generator(seed))
    for region, (x, y), found in zip(regions, points.tolist(), deep.tolist(), strict=True):
        assert bool(region[int((y + 0.5) * CELLS / SIZE), int((x + 0.5) * CELLS / SIZE)]) == (found > 0)


def test_half_of_the_clicks_are_in_the_deepest_place():
    region = torch.zeros(400, CELLS, CELLS, dtype=torch.bool)
    region[:, 4:27, 6:29] = True
    points, _ = draw_click(region, SIZE, generator())
    centre = ((points + 0.5) / 4 - torch.tensor([17.5, 15.5])).abs().amax(1) < 0.51
    assert 0.4 < centre.float().mean() < 0.6


@given(st.integers(0, 1000))
def test_boxes_are_tight(seed):
    regions = blobs(seed)
    for region, box in zip(regions, bounding_boxes(regions), strict=True):
        rows, columns = np.nonzero(region.numpy())
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_an_empty_region_has_an_empty_box():
    assert bounding_boxes(torch.zeros(1, 4, 4, dtype=torch.bool)).tolist() == [[0, 0, 0, 0]]


def test_a_drawn_box_is_near_the_tight_one():
    region = torch.zeros(50, CELLS, CELLS, dtype=torch.bool)
    region[:, 8:16, 4:24] = True
    corners = draw_box(region, SIZE, generator())
    wanted = torch.tensor([[16.0, 32.0], [96.0, 64.0]]) - 0.5
    reach = 0.1 * torch.tensor([80.0, 32.0])
    assert ((corners - wanted).abs() <= reach + 1e-3).all()
    assert (corners - wanted).abs().max() > 1


@given(st.integers(0, 200))
def test_a_stroke_stays_on_the_object(seed):
    regions = blobs(seed)
    points, labels = draw_stroke(regions, SIZE, generator(seed))
    assert labels[:, 0].tolist() == labels[:, -1].tolist() == [1] * len(regions)
    for region, place, label in zip(regions, points, labels, strict=True):
        for (x, y), found in zip(place.tolist(), label.tolist(), strict=True):
            inside = bool(region[int((y + 0.5) * CELLS / SIZE), int((x + 0.5) * CELLS / SIZE)])
            assert found == (1 if inside else -1)


@pytest.mark.parametrize(("lacks", "label"), [(True, 1), (False, 0)])
def test_a_correction_goes_to_the_larger_error(lacks, label):
    target = torch.zeros(8, CELLS, CELLS, dtype=torch.bool)
    target[:, 4:20, 4:20] = True
    mask = target.clone()
    mask[:, 4 : 12 if lacks else 6, 4:20] = False  # missing
    mask[:, 22 : 24 if lacks else 30, 4:20] = True  # too much
    points, labels = correction(mask, target, SIZE, generator())
    assert labels.tolist() == [label] * 8
    rows = (points[:, 1] + 0.5) / 4
    assert ((rows >= (4 if lacks else 22)) & (rows <= (12 if lacks else 30))).all()


def test_a_right_mask_is_left_alone():
    target = blobs(0)
    assert correction(target, target, SIZE, generator())[1].tolist() == [-1, -1, -1]


def test_the_same_seed_clicks_alike():
    first, second = (draw_click(blobs(0), SIZE, generator(3))[0] for _ in range(2))
    assert torch.equal(first, second)


def test_surroundings_are_gaussians_of_clicks_and_of_nothing_else():
    points = torch.tensor([[[31.5, 63.5], [90.0, 90.0], [4.0, 4.0]]])
    found = surroundings(points, torch.tensor([[0, 3, -1]]), SIZE, CELLS)
    assert found.shape == (1, 1, CELLS, CELLS)
    away = torch.stack(torch.meshgrid(torch.arange(CELLS), torch.arange(CELLS), indexing="xy")) * 4 + 1.5
    squared = (away[0] - 31.5).square() + (away[1] - 63.5).square()
    torch.testing.assert_close(found[0, 0], torch.exp(-squared / (2 * (0.02 * SIZE) ** 2)))
