"""Other light: colours, tones, sharpness and grain change, and what pictures are of does not."""

import torch

from mobigen.data import photometry as module
from mobigen.data.photometry import colour_matrices, recoloured


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(count=64, size=8):
    return torch.rand(count, size, size, 3, generator=generator(7)) * 255


def test_shapes_ranges_and_the_seed():
    image = pictures()
    first, again, other = (recoloured(image, generator(seed)) for seed in (0, 0, 1))
    assert first.shape == image.shape
    assert first.min() >= 0
    assert first.max() <= 255
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_light_stays_light():
    image = torch.cat([torch.full((64, 8, 4, 3), 40.0), torch.full((64, 8, 4, 3), 215.0)], 2)
    dark, light = recoloured(image, generator()).mean((1, 3)).chunk(2, 1)
    assert (light.mean(1) - dark.mean(1)).min() > 60


def test_matrices_turn_hues_about_the_greys(monkeypatch):
    for name in ("OTHER", "SATURATION", "PALE"):
        monkeypatch.setattr(module, name, 0.0)
    found = colour_matrices(64, generator())
    torch.testing.assert_close(found @ found.mT, torch.eye(3).expand(64, 3, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.sum(1), torch.ones(64, 3))  # grey stays grey
    assert (torch.linalg.det(found) > 0.99).all()
    still = (found - torch.eye(3)).abs().amax((1, 2)) < 1e-5
    assert 0.3 < still.float().mean() < 0.7


def test_some_pictures_have_no_colours():
    colours = colour_matrices(256, generator())
    pale = (colours - colours.mean(2, keepdim=True)).abs().amax((1, 2)) < 1e-5
    assert 0.04 < pale.float().mean() < 0.2
    assert (colours.sum(1) - 1).abs().max() < 3 * module.OTHER + 1e-5


def test_curves_rise_and_keep_black_and_white():
    image = torch.linspace(0, 255, 65)[None, None, :, None].expand(64, 1, -1, 3)
    found = module._curved(image, generator())
    torch.testing.assert_close(found[:, :, [0, -1]], image[:, :, [0, -1]])
    assert (found[:, :, 1:] > found[:, :, :-1]).all()
    moved = (found - image)[:, 0, 32].abs().amax(1)
    assert moved.max() > 20
    assert 0.3 < (moved == 0).float().mean() < 0.7


def test_blur_and_grain_keep_the_mean_and_leave_some_alone():
    image = torch.rand(96, 32, 32, 3, generator=torch.Generator().manual_seed(0)) * 255
    blurred = module._blurred(image, torch.Generator().manual_seed(1))
    torch.testing.assert_close(blurred.mean((1, 2, 3)), image.mean((1, 2, 3)), rtol=0.02, atol=1)
    assert 0.3 < torch.isclose(blurred, image).flatten(1).all(1).float().mean() < 0.6
