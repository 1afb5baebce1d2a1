"""Blur, reduction and noise, each against what it should do to simple pictures."""

import math

import pytest
import torch

from mobigen.data.degrade import WAYS, add_noise, blur, degrade, shrink


def source(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_blurred_point_spreads_as_asked():
    point = torch.zeros(2, 1, 41, 41)
    point[:, :, 20, 20] = 1
    spread, angle = torch.tensor([[3.0, 1.0], [3.0, 1.0]]), torch.tensor([0.0, math.pi / 2])
    images = blur(point, spread, angle)
    place = torch.arange(41) - 20.0
    across_columns = (images.sum((1, 2)) * place**2).sum(1).sqrt()
    across_rows = (images.sum((1, 3)) * place**2).sum(1).sqrt()
    torch.testing.assert_close(images.sum((1, 2, 3)), torch.ones(2))
    torch.testing.assert_close(across_columns, torch.tensor([3.0, 1.0]), rtol=0.03, atol=0)
    torch.testing.assert_close(across_rows, torch.tensor([1.0, 3.0]), rtol=0.03, atol=0)


def test_blurring_a_flat_picture_changes_nothing():
    flat = torch.full((2, 3, 24, 24), 0.3)
    torch.testing.assert_close(blur(flat, torch.tensor([[2.0, 1.0], [0.1, 0.1]]), torch.tensor([0.3, 1.0])), flat)


@pytest.mark.parametrize("way", range(len(WAYS)))
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_way_of_shrinking_keeps_places(way, scale):
    """A slope across is as steep as before, and nothing moves by a part of a pixel."""
    slope = torch.linspace(0, 1, 12 * scale).expand(1, 1, 12 * scale, -1)
    small = shrink(slope, scale, torch.tensor([way]))
    expected = slope.unflatten(3, (-1, scale)).mean(4)[:, :, :12]
    assert small.shape == (1, 1, 12, 12)
    torch.testing.assert_close(small[..., 3:-3], expected[..., 3:-3], rtol=1e-4, atol=1e-5)


def test_noise_grows_with_light():
    dark, bright = torch.full((1, 3, 64, 64), 0.0), torch.full((1, 3, 64, 64), 0.8)
    read, shot = torch.tensor([0.01]), torch.tensor([0.002])
    assert add_noise(dark, read, shot, source()).std().item() == pytest.approx(0.01, rel=0.05)
    expected = (0.01**2 + 0.002 * 0.8) ** 0.5
    assert (add_noise(bright, read, shot, source()) - bright).std().item() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_degraded_picture_is_small_in_range_and_repeats(scale):
    large = torch.rand(3, 3, 32 * scale, 32 * scale, generator=source())
    small = degrade(large, scale, source(1))
    assert small.shape == (3, 3, 32, 32)
    assert small.min() >= 0
    assert small.max() <= 1
    assert torch.equal(small, degrade(large, scale, source(1)))
    assert not torch.equal(small, degrade(large, scale, source(2)))


def test_what_is_degraded_still_shows_the_same():
    large = torch.nn.functional.interpolate(torch.rand(4, 3, 6, 6, generator=source()), 96, mode="bilinear")
    small, clean = degrade(large, 4, source(1)), torch.nn.functional.avg_pool2d(large, 4)
    error = (small - clean).abs().mean((1, 2, 3))
    assert (error > 0.001).all()
    assert (error < 0.06).all()
