"""Small movements of stickers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobigen.data.augment import jitter


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count, size=32):
    """Premultiplied squares, opaque in the middle, their left half lighter."""
    images = torch.zeros(count, 4, size, size)
    images[:, 3] = -1
    inner = slice(size // 4, 3 * size // 4)
    images[:, 3, inner, inner] = 1
    images[:, :3, inner, size // 4 : size // 2] = 0.8
    return images


@given(st.integers(1, 4), st.integers(8, 24), st.integers(0, 2**31))
def test_without_strength_and_mirror_nothing_moves(count, size, seed):
    images = torch.rand(count, 4, size, size, generator=source(seed)) * 2 - 1
    still = jitter(images, torch.zeros(count, dtype=torch.bool), source(seed), strength=0.0)
    torch.testing.assert_close(still, images, rtol=1e-4, atol=1e-4)


def test_only_what_may_be_mirrored_is_and_about_half_of_it():
    images = torch.rand(400, 4, 8, 8, generator=source()) * 2 - 1
    allowed = torch.arange(400) % 2 == 0
    moved = jitter(images, allowed, source(), strength=0.0)
    mirrored = (moved - images.flip(3)).abs().amax((1, 2, 3)) < 1e-4
    unmoved = (moved - images).abs().amax((1, 2, 3)) < 1e-4
    assert (mirrored ^ unmoved).all()
    assert not mirrored[~allowed].any()
    assert 70 < mirrored.sum() < 130


def test_movements_differ_repeat_and_are_small():
    images, still = pictures(16), torch.zeros(16, dtype=torch.bool)
    moved = jitter(images, still, source(1))
    assert torch.equal(moved, jitter(images, still, source(1)))
    assert len({tuple(each.flatten().tolist()) for each in moved}) == 16
    areas = (moved[:, 3] + 1).sum((1, 2)) / (images[:, 3] + 1).sum((1, 2))
    assert areas.min() > 0.8
    assert areas.max() < 1.25
    where = torch.linspace(-1, 1, 32)
    opacity = (moved[:, 3] + 1) / 2
    for axis in (1, 2):
        centres = (opacity.sum(3 - axis) * where).sum(1) / opacity.sum((1, 2))
        assert centres.abs().max() < 0.16


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_in_is_transparent_and_colourless(seed):
    moved = jitter(torch.ones(8, 4, 16, 16), torch.ones(8, dtype=torch.bool), source(seed), strength=3.0)
    outside = moved[:, 3] == -1
    assert outside.any()
    assert moved[:, :3].abs().amax(1)[outside].max() == 0
    torch.testing.assert_close(moved[:, 0], (moved[:, 3] + 1) / 2)  # colour stays premultiplied
