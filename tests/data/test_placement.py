"""Places in scenes: movements are those asked for, and neighbours touch without covering each other."""

import pytest
import torch

from mobigen.data.placement import moved, place_beside, place_in

SIZE = 64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def block(rows, columns, count=16):
    found = torch.zeros(count, 1, SIZE, SIZE)
    found[:, :, rows, columns] = 1
    return found


def shifted(thing, shift):
    count = len(thing)
    return moved(thing, torch.zeros(count), torch.ones(count), shift, torch.ones(count))


def test_movements_are_those_asked_for():
    picture = torch.zeros(4, 1, 32, 32)
    picture[:, :, 12:20, 4:12] = 1  # to the left of the middle
    zero, one = torch.zeros(4), torch.ones(4)
    angle = torch.tensor([torch.pi / 2, 0, 0, 0])
    scale = torch.tensor([1.0, 2.0, 1.0, 1.0])
    shift = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    mirror = torch.tensor([1.0, 1.0, 1.0, -1.0])
    turned, larger, right, flipped = moved(picture, angle, scale, shift, mirror)[:, 0]
    assert turned.sum() == pytest.approx(64, abs=1)
    assert turned[4:12, 12:20].mean() == pytest.approx(1, abs=0.01) or turned[20:28, 12:20].mean() > 0.99
    assert larger.sum() == pytest.approx(8 * 16, abs=1)  # grown to 16x16, half of it beyond the side
    assert torch.equal(right, torch.roll(picture[2, 0], 16, 1))
    torch.testing.assert_close(flipped, picture[3, 0].flip(1))
    assert torch.equal(moved(picture, zero, one, torch.zeros(4, 2), one), picture)


def test_places_in_objects_are_in_them():
    whole = block(slice(8, 24), slice(40, 56))
    x, y = ((place_in(whole, generator()) + 1) / 2 * SIZE).long().unbind(1)
    assert (whole[torch.arange(16), 0, y, x] == 1).all()
    assert len(set(x.tolist())) > 1


def test_neighbours_touch_and_cover_next_to_nothing():
    whole, thing = block(slice(16, 48), slice(16, 40)), block(slice(24, 40), slice(24, 40))
    placed = shifted(thing, place_beside(thing, whole, whole, torch.ones_like(whole), generator()))
    assert (placed * whole).sum((1, 2, 3)).max() < 0.05 * 16 * 16
    assert placed.sum((1, 2, 3)).min() > 0.55 * 16 * 16  # most of it is in the picture
    around = torch.nn.functional.max_pool2d(whole, 41, 1, 20)
    assert (placed * around).amax((1, 2, 3)).min() > 0.9
    centres = (placed[:, 0].sum(1) @ torch.arange(float(SIZE))) / placed.sum((1, 2, 3))
    assert centres.min() < 32 < centres.max()  # on all sides


def test_neighbours_leave_others_uncovered_and_stay_in_the_photo():
    whole, thing = block(slice(24, 40), slice(24, 40)), block(slice(24, 40), slice(24, 40))
    window, left = block(slice(16, 48), slice(0, 64)), block(slice(0, 64), slice(0, 24))
    placed = shifted(thing, place_beside(thing, whole, torch.maximum(whole, left), window, generator()))
    assert (placed * left).sum((1, 2, 3)).max() < 0.05 * 16 * 16
    assert (placed * window).sum((1, 2, 3)).min() > 0.5 * 16 * 16


def test_where_there_is_no_room_something_is_still_placed():
    full, thing = torch.ones(4, 1, SIZE, SIZE), block(slice(24, 40), slice(24, 40), 4)
    shift = place_beside(thing, full, full, full, generator())
    assert shift.isfinite().all()
    empty = torch.zeros_like(full)
    assert place_beside(empty, empty, empty, empty, generator()).isfinite().all()
