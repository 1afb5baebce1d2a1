"""There and back again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.letterbox import GROUND, Letterbox

sides = st.integers(1, 3000)


@given(sides, sides)
def test_the_longer_side_fills_the_square_and_all_is_even(height, width):
    box = Letterbox(height, width, 512)
    assert max(box.inner) == 512
    assert all(side % 2 == 0 and side >= 2 for side in box.inner)
    if min(height, width) * 20 > max(height, width):
        assert box.inner[0] / box.inner[1] == pytest.approx(height / width, rel=0.05)


@given(sides, sides, st.data())
def test_points_come_back(height, width, data):
    box = Letterbox(height, width, 512)
    point = [[data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))]]
    inside = box.points(point)
    assert ((inside >= -0.5) & (inside <= np.array(box.inner[::-1]) - 0.5)).all()
    np.testing.assert_allclose(box.back(inside), point, atol=0.01)


def test_the_corners_of_the_photo_are_the_corners_of_the_square():
    box = Letterbox(400, 800, 512)
    np.testing.assert_allclose(box.points([[-0.5, -0.5], [799.5, 399.5]]), [[-0.5, -0.5], [511.5, 255.5]])


@pytest.mark.parametrize("shape", [(37, 53), (10, 10), (1000, 30)])
def test_a_map_comes_back_at_the_photos_size(shape):
    box = Letterbox(*shape, 64)
    height, width = box.inner
    values = np.zeros((32, 32), np.float32)
    values[: height // 2, : width // 2] = 1
    restored = box.restore(values)
    assert restored.shape == shape
    assert restored.min() == 1


def test_padding_has_its_own_colour_and_labels_do_not_mix():
    photo = np.zeros((20, 40, 3), np.uint8)
    squared = Letterbox(20, 40, 64).square(photo)
    assert squared.shape == (64, 64, 3)
    assert squared[:32].max() == 0
    assert (squared[32:] == GROUND).all()
    labels = np.full((20, 40), 7, np.uint8)
    labels[:, 20:] = 250
    assert set(np.unique(Letterbox(20, 40, 64).square_labels(labels))) == {0, 7, 250}
