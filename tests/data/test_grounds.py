"""Drawn grounds: each kind is what it says, and colours are mostly strong."""

import pytest
import torch

from mobigen.data import grounds as module
from mobigen.data.grounds import draw_colours, draw_grounds

SIZE = 32


def drawn(monkeypatch, kind, count=16, photos=None):
    monkeypatch.setattr(module, "CHANCES", tuple(float(each == kind) for each in range(len(module.CHANCES))))
    photos = torch.zeros(count, 3, SIZE, SIZE) if photos is None else photos
    return draw_grounds(photos, torch.Generator().manual_seed(0))


def test_shapes_ranges_and_the_seed():
    photos = torch.rand(64, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 255
    first, again, other = (draw_grounds(photos, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.shape == photos.shape
    assert first.min() >= 0
    assert first.max() <= 255
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_plain_grounds_are_of_one_colour_each(monkeypatch):
    found = drawn(monkeypatch, module.PLAIN)
    assert (found.amax((2, 3)) == found.amin((2, 3))).all()
    assert len(found[:, :, 0, 0].unique(dim=0)) == 16


def test_gradients_change_evenly(monkeypatch):
    found = drawn(monkeypatch, module.GRADIENT)
    step = (found[:, :, :, 1:] - found[:, :, :, :-1]).abs()
    assert found.std((2, 3)).amax(1).min() > 1
    assert step.max() < 255 / SIZE * 1.1


@pytest.mark.parametrize("kind", [module.STRIPES, module.CHECKS, module.BLOTS])
def test_patterns_are_of_two_colours(monkeypatch, kind):
    monkeypatch.setattr(module, "SHARPNESS", (1e4, 1e4))
    found = drawn(monkeypatch, kind).round().flatten(2)
    colours = [len(each.unique(dim=1)[0]) for each in found]
    assert max(colours) <= 4  # and what lies on an edge
    assert sum(count >= 2 for count in colours) > 12


def test_clouds_are_smooth_and_of_many_colours(monkeypatch):
    found = drawn(monkeypatch, module.CLOUDS)
    assert found.std((2, 3)).mean() > 20
    assert (found[..., 1:] - found[..., :-1]).abs().median() < 30


def test_photos_are_out_of_focus(monkeypatch):
    photos = torch.rand(16, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 60 + 100
    found = drawn(monkeypatch, module.PHOTO, photos=photos)
    assert found.mean() == pytest.approx(130, abs=4)
    assert (found[..., 1:] - found[..., :-1]).abs().mean() < (photos[..., 1:] - photos[..., :-1]).abs().mean() / 4


def test_colours_are_of_all_hues_and_mostly_strong():
    found = draw_colours(256, torch.Generator().manual_seed(0))
    assert found.shape == (256, 3, 1, 1)
    assert (found >= 0).all()
    assert (found <= 255).all()
    strong = (found.amax(1) - found.amin(1)) / found.amax(1)
    assert 0.6 < (strong > 0.5).float().mean() < 0.95
    assert set(found.argmax(1).flatten().tolist()) == {0, 1, 2}
