"""Scenes and sessions: what is meant is what is seen, and parts only where they can be told."""

import pytest
import torch

from mobigen.data import scenes as module
from mobigen.data import sessions
from mobigen.data.clicks import depth
from mobigen.data.masks import load_masks
from mobigen.data.pieces import cells
from mobigen.data.scenes import SceneBatches
from mobigen.data.sessions import BOX, CLICK, FIRST, STROKE, _first_prompts, begin
from mobigen.data.synthetic import draw_shape, write_synthetic_masks

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    write_synthetic_masks(folder, 12, 96)
    return load_masks(folder, folder / "cache", 64)


@pytest.fixture(scope="module")
def batches(masks):
    stickers = torch.from_numpy(draw_shape("circle", "red", 48))[None]
    return SceneBatches(masks, stickers, CPU)


def draw(batches, count=32, seed=0):
    return batches.draw(count, torch.Generator().manual_seed(seed))


def only(monkeypatch, kind, unmoved=1.0, every=1000):
    monkeypatch.setattr(module, "CHANCES", tuple(float(each == kind) for each in range(len(module.CHANCES))))
    monkeypatch.setattr(module, "UNMOVED", unmoved)
    monkeypatch.setattr(module, "EVERY", every)


def test_shapes_ranges_and_the_seed(batches):
    scenes = draw(batches)
    assert scenes.image.shape == (32, 64, 64, 3)
    assert 0 <= scenes.image.min() < scenes.image.max() <= 255
    for alpha in (scenes.whole, scenes.part, scenes.salient):
        assert alpha.shape == (32, 1, 32, 32)
        assert alpha.min() >= 0
        assert alpha.max() <= 1 + 1e-5
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(scenes, draw(batches), strict=True))
    assert not torch.equal(scenes.image, draw(batches, seed=1).image)


def test_a_part_lies_in_its_whole_and_the_whole_in_what_is_salient(batches):
    scenes = draw(batches)
    asked = scenes.has_part[:, None, None, None]
    assert asked.any()
    assert ((scenes.part - scenes.whole) * asked).max() < 1e-4
    assert (scenes.whole - scenes.salient).max() < 1e-4


def test_photos_alone_are_as_their_label_maps(masks, batches, monkeypatch):
    only(monkeypatch, module.PLAIN)
    scenes = draw(batches, 8)
    known = torch.nn.functional.avg_pool2d((masks.labels > 0)[:, None].float(), 2)
    for whole in scenes.whole:
        assert (known - whole).abs().amax((1, 2, 3)).min() < 1e-4


def test_what_is_laid_on_and_meant_has_its_own_alpha(batches, monkeypatch):
    only(monkeypatch, module.MEANT)
    scenes = draw(batches)
    assert not scenes.has_part.any()
    soft = (scenes.whole > 0.05) & (scenes.whole < 0.95)
    assert soft.any()
    assert (scenes.salient - scenes.whole).max() > 0.9  # the photo's object is salient too


def test_what_is_joined_touches_and_belongs(batches, monkeypatch):
    only(monkeypatch, module.JOINED)
    scenes = draw(batches)
    assert scenes.has_part.all()
    torch.testing.assert_close(scenes.whole, scenes.salient)
    assert ((scenes.whole - scenes.part).amax((1, 2, 3)) > 0.9).float().mean() > 0.8  # more than what was laid on


def test_what_is_in_the_way_is_not_meant(batches, monkeypatch):
    only(monkeypatch, module.IN_THE_WAY)
    scenes = draw(batches)
    assert ((scenes.salient - scenes.whole).amax((1, 2, 3)) > 0.9).float().mean() > 0.8


@pytest.mark.parametrize(("kind", "meant"), [(module.BESIDE, False), (module.MEANT_BESIDE, True)])
def test_of_two_neighbours_one_is_meant_and_both_are_salient(batches, monkeypatch, kind, meant):
    only(monkeypatch, kind)
    scenes = draw(batches, 64)
    both, whole = (each.mean((1, 2, 3)) for each in (scenes.salient, scenes.whole))
    shown = (scenes.salient - scenes.whole).amax((1, 2, 3)) > 0.9
    assert shown.float().mean() > 0.7
    ratio = (whole / (both - whole))[shown & (whole > 0.01)]
    assert 0.3 < ratio.median() < 3  # of comparable size
    assert not scenes.has_part.any() or not meant


def test_some_objects_lie_on_drawn_grounds_and_keep_their_masks(masks, batches, monkeypatch):
    only(monkeypatch, module.PLAIN, every=1)
    monkeypatch.setattr(module, "DRAWN", 0.0)
    monkeypatch.setattr(module, "recoloured", lambda image, generator: image)
    scenes = draw(batches, 24)
    photos = torch.nn.functional.avg_pool2d(masks.images.permute(0, 3, 1, 2).float(), 2)
    images = torch.nn.functional.avg_pool2d(scenes.image.permute(0, 3, 1, 2), 2)
    changed = []
    for whole, image in zip(scenes.whole[:, 0], images, strict=True):
        differs = (photos - image).abs().mean(1)  # (N, S/2, S/2)
        own = differs[:, whole > 0.999].mean(1).argmin()
        assert differs[own, whole > 0.999].max() < 2  # the object is a photo's, all else is not
        changed.append(float(differs[own, whole < 0.001].mean()))
    assert sum(changed) / len(changed) > 30
    torch.testing.assert_close(scenes.whole, scenes.salient)


def test_stickers_lie_on_drawn_grounds_too_and_have_no_parts(batches, monkeypatch):
    only(monkeypatch, module.PLAIN, every=1)
    monkeypatch.setattr(module, "DRAWN", 1.0)
    scenes = draw(batches, 8)
    assert not scenes.has_part.any()
    assert ((scenes.whole.mean((1, 2, 3)) - scenes.whole.mean()).abs() < 1e-4).all()  # the only sticker there is


def test_what_ends_at_a_side_of_its_photo_ends_at_a_side_of_its_ground(batches):
    window = torch.zeros(2, 1, 64, 64)
    window[..., :40] = 1
    whole = torch.zeros_like(window)
    whole[0, :, 20:64, 8:40], whole[1, :, 20:30, 8:20] = 1, 1
    layers = torch.cat([torch.zeros(2, 3, 64, 64), whole, whole, window], 1)
    plain = SceneBatches(batches.masks, None, CPU)
    cut, free = plain._cut_out(layers, torch.Generator().manual_seed(0))
    assert free.tolist() == [False, True]
    assert (cut[0, 3, 30:, 16:40] == 1).all()  # as far as the photo goes
    assert (cut[:, 3] <= whole[:, 0]).all()
    placed = plain._on_grounds(cut, free, torch.Generator().manual_seed(0))
    torch.testing.assert_close(placed[0, 5], window[0, 0])
    assert placed[1, 5].sum() > window[1].sum() * 0.6
    assert (placed[:, 3] <= placed[:, 5]).all()


def test_one_of_so_many_photos_is_cut_out(batches, monkeypatch):
    taken = grounds_of(monkeypatch)
    for count in (1, 13, 32):
        draw(batches, count)
    assert taken == [13 // module.EVERY, 32 // module.EVERY]


def grounds_of(monkeypatch):
    """Takes the place of the grounds' drawing, and says how many each call was for."""
    taken = []
    monkeypatch.setattr(module, "draw_grounds", lambda photos, generator: taken.append(len(photos)) or photos)
    return taken


@pytest.mark.parametrize(("cut_out", "grounds"), [(True, [9]), (False, [])])
def test_scenes_of_one_kind_lie_all_on_drawn_grounds_or_none(batches, monkeypatch, cut_out, grounds):
    taken = grounds_of(monkeypatch)
    batches.draw_alike(9, module.PLAIN, cut_out, torch.Generator().manual_seed(0))
    assert taken == grounds


def test_scenes_of_one_kind_have_one_thing_laid_on(batches, monkeypatch):
    kinds = []
    laid_over = module._laid_over
    monkeypatch.setattr(module, "_laid_over", lambda *given: kinds.append(given[2].tolist()) or laid_over(*given))
    for kind in (module.PLAIN, module.MEANT_BESIDE):
        scenes = batches.draw_alike(5, kind, False, torch.Generator().manual_seed(0))
        assert kinds[-2:] == [[kind] * 5, [module.PLAIN] * 5]
        shown = (scenes.salient - scenes.whole).amax((1, 2, 3)) > 0.9
        assert shown.any() == (kind != module.PLAIN)


# --- sessions -----------------------------------------------------------------------------------------------


def region(rows, columns, size=32):
    found = torch.zeros(1, size // 2, size // 2, dtype=torch.bool)
    found[:, rows, columns] = True
    return found


@pytest.mark.parametrize(("kind", "labels"), [(CLICK, {1}), (BOX, {2, 3}), (STROKE, {1})])
def test_the_first_prompt_is_of_its_kind(kind, labels):
    points, found = _first_prompts(region(slice(2, 12), slice(4, 14)), torch.tensor([kind]), 32, torch.Generator())
    assert points.shape == (1, FIRST, 2)
    assert set(found.flatten().tolist()) - {-1} == labels


def only_meant(monkeypatch, parts=0.0, changed=0.0):
    monkeypatch.setattr(sessions, "PARTS", parts)
    monkeypatch.setattr(sessions, "CHANGED", changed)


def test_what_is_meant_becomes_clear_with_a_box_or_a_second_click(batches, monkeypatch):
    only_meant(monkeypatch, parts=1.0)
    scenes = draw(batches, 64)
    session = begin(scenes, torch.Generator().manual_seed(0))
    wants = scenes.has_part & (cells(scenes.part).sum((1, 2)) >= sessions.SMALLEST)
    hidden, shown = wants & ~session.boxed, wants & session.boxed
    assert hidden.any()
    assert shown.any()
    torch.testing.assert_close(session.target(0)[~shown], scenes.whole[~shown])
    torch.testing.assert_close(session.target(0)[shown], scenes.part[shown])
    torch.testing.assert_close(session.target(1)[wants], scenes.part[wants])
    torch.testing.assert_close(session.target(1)[~wants], scenes.whole[~wants])


def test_a_piece_more_or_less_is_meant_only_after_the_first_prompt(batches, monkeypatch):
    only_meant(monkeypatch, changed=1.0)
    scenes = draw(batches, 64)
    session = begin(scenes, torch.Generator().manual_seed(0))
    torch.testing.assert_close(session.target(0), scenes.whole)
    changed = (session.target(1) - scenes.whole).abs().amax((1, 2, 3)) > 0.5
    assert changed.any()
    clicked = changed & session.usable & (session.labels[:, 0] == 1)
    x, y = ((session.points[:, 0] + 0.5) / 4).long().unbind(1)
    for picture in clicked.nonzero().flatten().tolist():  # what is clicked on belongs to both
        assert cells(scenes.whole)[picture, y[picture], x[picture]]
        assert cells(session.meant)[picture, y[picture], x[picture]]


def test_spoilt_masks_are_wrong_by_pieces_and_the_others_stay(batches, monkeypatch):
    session = begin(draw(batches, 64), torch.Generator().manual_seed(0))
    mine = torch.randn(session.meant.shape)
    monkeypatch.setattr(sessions, "SPOILT", 0.0)
    assert torch.equal(session.spoilt(mine), mine)
    monkeypatch.setattr(sessions, "SPOILT", 1.0)
    monkeypatch.setattr(sessions, "TAKEN", 0.0)
    wrong = session.spoilt(mine)
    assert wrong.abs().max() <= sessions.SURE[1]
    assert wrong.abs().amax((1, 2, 3)).min() > sessions.SURE[0] * 0.8
    differs = (cells(torch.sigmoid(wrong)) ^ cells(session.meant)).sum((1, 2))[session.usable]
    assert (differs > 4).float().mean() > 0.5
    assert (differs < 128).all()  # of 256


def test_many_spoilt_masks_are_nearly_right(batches, monkeypatch):
    monkeypatch.setattr(sessions, "SPOILT", 1.0)
    monkeypatch.setattr(sessions, "TAKEN", 0.0)
    session = begin(draw(batches, 64), torch.Generator().manual_seed(0))
    mask, meant = (
        each[session.usable] for each in (cells(torch.sigmoid(session.spoilt(session.meant))), cells(session.meant))
    )
    overlap = (mask & meant).sum((1, 2)) / (mask | meant).sum((1, 2))
    assert 0.25 < (overlap > 0.8).float().mean() < 0.9


def test_spoilt_masks_take_whole_neighbours_for_part_of_what_is_meant(batches, monkeypatch):
    only(monkeypatch, module.BESIDE)
    monkeypatch.setattr(sessions, "SPOILT", 1.0)
    monkeypatch.setattr(sessions, "TAKEN", 1.0)
    session = begin(draw(batches, 64), torch.Generator().manual_seed(0))
    beside = cells(session.others).sum((1, 2)) >= sessions.SMALLEST
    assert beside.any()
    wrong, others, meant = (
        cells(each) for each in (torch.sigmoid(session.spoilt(session.meant)), session.others, session.meant)
    )
    expected = (others | meant)[beside]
    same = (wrong[beside] & expected).sum((1, 2)) / (wrong[beside] | expected).sum((1, 2))
    assert same.mean() > 0.85  # but for what smoothing takes from their edges


def test_places_are_near_the_clicks_made_so_far(batches):
    session = begin(draw(batches, 8), torch.Generator().manual_seed(0))
    before = session.near(0)
    session.correct(torch.full_like(session.meant, -4.0))
    torch.testing.assert_close(session.near(0), before)
    assert (session.near(1) - before).amax((1, 2, 3))[session.usable].max() > 0.5


def test_a_correction_adds_a_click_and_the_prompts_are_padded(batches):
    session = begin(draw(batches, 16), torch.Generator().manual_seed(0))
    session.correct(torch.full_like(session.meant, -4.0))  # nothing yet
    assert session.points.shape == (16, FIRST + 1, 2)
    assert set(session.labels[session.usable][:, -1].tolist()) == {1}
    points, labels = session.padded(12)
    assert points.shape == (16, 12, 2)
    assert labels[:, FIRST + 1 :].max() == -1
    assert labels.dtype == torch.int32


def test_after_the_whole_was_given_a_part_is_asked_for_by_a_click_beside_it(batches, monkeypatch):
    only_meant(monkeypatch, parts=1.0)
    session = begin(draw(batches, 64), torch.Generator().manual_seed(0))
    session.correct((session.first - 0.5) * 20)
    larger = cells(session.first) & ~cells(session.meant)
    told = session.labels[session.usable & (depth(larger).amax((1, 2)) > 1)][:, -1].tolist()
    assert told
    assert told.count(0) == len(told)


def test_now_and_then_two_things_are_laid_over(batches, monkeypatch):
    only(monkeypatch, module.MEANT)
    monkeypatch.setattr(module, "AGAIN", 0.0)
    once = draw(batches, 64)
    monkeypatch.setattr(module, "AGAIN", 1.0)
    twice = draw(batches, 64)
    assert twice.salient.mean() > once.salient.mean() * 1.02
    assert twice.salient.max() <= 1 + 1e-5


def test_the_first_mask_goes_with_clicks_that_mean_it_and_not_with_boxes(batches):
    session = begin(draw(batches, 64), torch.Generator().manual_seed(0))
    right = (session.first - 0.5) * 8
    seen, asked = session.seen(right), (session.first > 0.5).any(dim=3).any(dim=2)[:, 0]
    given = seen.flatten(1).any(1)
    assert 0.3 < given[~session.boxed & asked].float().mean() < 0.7
    assert not given[session.boxed].any()
    torch.testing.assert_close(seen[given], 2 * right[given])
    assert not session.seen(-right)[asked].any()


def test_photos_of_a_single_object_come_more_often(batches):
    single = batches.present.sum(1) < 2
    assert batches.chances[single].sum() == pytest.approx(0.6)
    assert batches.chances.sum() == pytest.approx(1)
