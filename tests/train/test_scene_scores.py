"""Scenes that the cutout model is scored on, and the scores of whoever knows them by heart, or half."""

import numpy as np
import pytest
import torch
from tiny_cutout import SIZE

from mobigen.answers import iou
from mobigen.cli.evaluate import _open_predictor
from mobigen.data.masks import load_masks
from mobigen.data.scenes import BESIDE, PLAIN
from mobigen.data.synthetic import draw_shape, write_synthetic_masks
from mobigen.errors import InputError
from mobigen.train import scene_scores as module
from mobigen.train.scene_scores import Scene, draw_scenes, score_everything, score_scenes

STICKERS = torch.from_numpy(draw_shape("circle", "red", 48))[None]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    write_synthetic_masks(folder, 7, 96)
    return load_masks(folder, folder / "cache", SIZE)


class Knowing:
    """A predictor that has seen all scenes: first it takes both objects, then the one that was clicked on first."""

    def __init__(self, photos, stickers, count):
        grounds = [(kind, cut_out) for kind, cut_out in module.SCENES.values()]
        grounds += [(BESIDE, cut_out) for cut_out in module.GROUNDS.values()]
        scenes = [scene for each in grounds for scene in draw_scenes(photos, stickers, count, *each)]
        self.scenes, self.calls = {scene.pixels.tobytes(): scene for scene in scenes}, []
        for pixels, (whole,) in module._of_one(photos):
            self.scenes[pixels.tobytes()] = Scene(pixels, whole, ~whole & False)

    def set_image(self, image):
        self.scene = self.scenes[image.tobytes()]

    def saliency(self):
        return self.scene.meant | self.scene.others, None

    def predict(self, point_coords, point_labels, *, mask_input=None, multimask_output=True):
        self.calls.append((list(point_coords), list(point_labels), mask_input))
        assert not multimask_output
        x, y = map(int, point_coords[0])
        clicked = self.scene.others if self.scene.others[y, x] else self.scene.meant
        found = clicked if len(point_coords) == 2 else self.scene.meant | self.scene.others
        return found[None], np.ones(1), f"logits after {len(point_coords)}"

    def everything(self):
        return [{"segmentation": self.scene.meant}, {"segmentation": self.scene.meant & False}]


def same(scenes, others):
    return all(np.array_equal(*pair) for each in zip(scenes, others, strict=True) for pair in zip(*each, strict=True))


@pytest.mark.parametrize("stickers", [None, STICKERS])
def test_scenes_are_always_the_same_and_fewer_are_the_first_of_more(photos, stickers):
    scenes = draw_scenes(photos, stickers, 9, BESIDE, True)
    assert len(scenes) == 9
    assert same(scenes[:2], draw_scenes(photos, stickers, 2, BESIDE, True))
    assert not same(scenes[:2], draw_scenes(photos, stickers, 2, BESIDE, False))


def test_both_of_two_objects_can_be_seen_and_one_stands_alone(photos):
    for meant, others in ((scene.meant, scene.others) for scene in draw_scenes(photos, STICKERS, 9, BESIDE, False)):
        assert meant.shape == others.shape == (SIZE, SIZE)
        assert min(meant.sum(), others.sum()) >= 0.01 * SIZE**2
        assert not (meant & others).any()
    for scene in draw_scenes(photos, STICKERS, 9, PLAIN, True):
        assert scene.pixels.dtype == np.uint8
        assert scene.pixels.shape == (SIZE, SIZE, 3)
        assert not scene.others.any()


def test_photos_without_objects_make_no_scenes(photos):
    empty = photos.subset([0])
    empty.labels.zero_()
    with pytest.raises(InputError, match="0 of the 2 scenes wanted show"):
        draw_scenes(empty, None, 2, BESIDE, False)


def test_a_second_click_says_that_the_other_object_is_not_meant(photos):
    knowing, lines = Knowing(photos, STICKERS, 3), []
    scores = score_scenes(knowing, photos, STICKERS, 3, lines.append)
    assert scores["drawn_ground"] == {"pictures": 3, "first_mask": 1, "centre": {"1": 1, "2": 1}}
    for name in ("beside", "laid_beside"):
        scenes = draw_scenes(photos, STICKERS, 3, *module.SCENES[name])
        both = [iou(each.meant | each.others, each.meant) for each in scenes]
        centre = {"1": pytest.approx(sum(both) / 3, abs=1e-4), "2": 1}
        assert scores[name] == {"pictures": 3, "first_mask": 1, "centre": centre}
    assert len(lines) == 3
    assert len(knowing.calls) == 3 + 6 + 6  # no second click where the first was enough
    for points, labels, before in knowing.calls:
        assert [before, *labels] == ([None, 1] if len(points) == 1 else ["logits after 1", 1, 0])


def test_clicks_are_in_the_middle_of_what_is_wrong(photos):
    knowing = Knowing(photos, None, 1)
    score_scenes(knowing, photos, None, 1, print)
    for name, call in (("beside", 2), ("laid_beside", 4)):
        points, _, _ = knowing.calls[call]
        (scene,) = draw_scenes(photos, None, 1, *module.SCENES[name])
        first, second = [(int(y), int(x)) for x, y in points]
        assert scene.meant[first]
        assert scene.others[second]


def test_the_same_pictures_are_asked_for_either_of_their_objects(photos):
    one, other = (draw_scenes(photos, STICKERS, 3, *module.SCENES[name]) for name in ("beside", "laid_beside"))
    for this, that in zip(one, other, strict=True):
        assert np.array_equal(this.pixels, that.pixels)
        assert min(iou(this.meant, that.others), iou(this.others, that.meant)) > 0.99  # but for rounding


def test_of_two_objects_one_is_found_and_all_masks_count(photos):
    lines = []
    scores = score_everything(Knowing(photos, None, 3), photos, None, 3, lines.append)
    assert scores["photo_ground"] == scores["drawn_ground"] == {"objects": 6, "found": 3, "masks": 6}
    assert scores["photos"] == {"objects": 2, "found": 2, "masks": 4}  # the first and the seventh of seven
    assert len(lines) == 3


def test_no_more_scenes_than_the_table_has(photos, monkeypatch):
    monkeypatch.setattr(module, "COUNT", 2)
    monkeypatch.setattr(module, "PAIRS", 1)
    knowing = Knowing(photos, None, 2)
    assert score_scenes(knowing, photos, None, 400, print)["beside"]["pictures"] == 2
    assert score_everything(knowing, photos, None, 400, print)["drawn_ground"]["objects"] == 2


def test_the_pipeline_answers_as_its_users_have_it(photos, cutout_weights):
    predictor = _open_predictor(cutout_weights)
    scores = score_scenes(predictor, photos, None, 2, print)
    assert all(0 <= each["centre"][clicks] <= 1 for each in scores.values() for clicks in "12")
    found = score_everything(predictor, photos.subset([0]), None, 1, print)
    assert all(0 <= each["found"] <= min(each["objects"], each["masks"]) for each in found.values())
