"""Pieces of pictures: they follow what is seen, and masks differ by one of them."""

import pytest
import torch

from mobigen.data import pieces as module
from mobigen.data.pieces import altered, cells, divided
from mobigen.data.scenes import Scenes

SIZE = 64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def halves(count=4):
    """Pictures, red on the left and blue on the right, of an object in the upper half."""
    image = torch.zeros(count, SIZE, SIZE, 3)
    image[:, :, : SIZE // 2, 0] = 255
    image[:, :, SIZE // 2 :, 2] = 255
    whole = torch.zeros(count, 1, SIZE // 2, SIZE // 2)
    whole[:, :, : SIZE // 4] = 1
    return Scenes(image, whole, torch.zeros_like(whole), whole, torch.zeros(count, dtype=torch.bool))


def counted(monkeypatch, colour=0.0, place=0.0, thing=0.0):
    for name, value in (("COLOUR", colour), ("PLACE", place), ("THING", thing)):
        monkeypatch.setattr(module, name, (value, value))


def test_cells_are_half_as_many_and_hold_mostly_object():
    alpha = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 1]]).float()[None, None]
    assert cells(alpha).tolist() == [[[True, False]]]


@pytest.mark.parametrize(("kind", "axis"), [("colour", 2), ("thing", 1)])
def test_pieces_follow_colours_or_things(monkeypatch, kind, axis):
    counted(monkeypatch, **{kind: 1.0})
    found = divided(halves(), generator())
    assert found.shape == (4, 16, 16)
    first, second = (part.flatten(1) for part in found.chunk(2, axis))
    first, second = (part.reshape(4, -1) for part in (first, second))
    for mine, theirs in zip(first, second, strict=True):
        assert not set(mine.tolist()) & set(theirs.tolist()) or len(set(found.flatten().tolist())) == 1


def test_pieces_by_place_are_the_nearest_seeds(monkeypatch):
    counted(monkeypatch, place=1.0)
    found = divided(halves(2), generator())
    source = generator()
    torch.rand(3, 2, 1, 1, 1, generator=source)  # how much each kind counts
    seeds = torch.randint(256, (2, module.SEEDS), generator=source)
    used = torch.randint(module.FEWEST, module.SEEDS + 1, (2, 1), generator=source)
    for picture in range(2):
        own = seeds[picture, : int(used[picture])]
        for place in range(0, 256, 7):
            away = ((own % 16 - place % 16) ** 2 + (own // 16 - place // 16) ** 2).tolist()
            assert away[int(found[picture].flatten()[place])] == min(away)


def test_masks_have_a_piece_more_or_less():
    scenes = halves(32)
    pieces = divided(scenes, generator())
    changed = altered(scenes.whole, pieces, generator())
    assert changed.min() >= 0
    assert changed.max() <= 1
    more = (changed - scenes.whole).amax((1, 2, 3)) > 0.9
    less = (scenes.whole - changed).amax((1, 2, 3)) > 0.9
    assert not (more & less).any()
    assert more.sum() > 8
    assert less.sum() > 8


def test_a_piece_goes_no_further_than_its_extent(monkeypatch):
    counted(monkeypatch)  # all alike: a single piece
    scenes = halves(16)
    changed = altered(scenes.whole, divided(scenes, generator()), generator())
    area = (cells(changed) ^ cells(scenes.whole)).sum((1, 2))
    assert area.max() <= torch.pi * module.EXTENT[1] * cells(scenes.whole)[0].sum()
    assert area.max() > 0


def test_small_pieces_are_bites_and_lumps_at_the_border():
    scenes = halves(32)
    pieces = divided(scenes, generator())
    changed = altered(scenes.whole, pieces, generator(), small=1.0)
    wrong = cells(changed) ^ cells(scenes.whole)
    area = wrong.sum((1, 2))
    assert (area > 0).float().mean() > 0.6
    assert area.max() < 0.4 * 128  # cells of the object
    rows = wrong.any(2).nonzero()[:, 1]
    assert (rows - 7.5).abs().max() < 3 + (0.1 * 128) ** 0.5  # its border is below row 7
    kinds = {bool(each) for each in cells(changed)[wrong]}
    assert kinds == {True, False}
    large = cells(altered(scenes.whole, pieces, generator())) ^ cells(scenes.whole)
    assert area.max() < large.sum((1, 2)).max() / 2


@pytest.mark.parametrize("small", [0.0, 1.0])
def test_an_empty_mask_stays_a_mask(small):
    scenes = halves(8)
    empty = torch.zeros_like(scenes.whole)
    assert torch.equal(altered(empty, divided(scenes, generator()), generator(), small), empty)
