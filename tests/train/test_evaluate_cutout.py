"""The whole evaluation, on drawn figures and tiny networks with random weights; and with a decoder that cheats."""

import json
import shutil

import numpy as np
import pytest
from tiny_networks import tiny

from mobigen.cli.evaluate import _open_predictor
from mobigen.data.masks import is_held_out, load_masks
from mobigen.data.synthetic import write_synthetic_masks, write_synthetic_shards
from mobigen.errors import InputError, WeightsError
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.train import evaluate_cutout as module
from mobigen.train import scene_scores
from mobigen.train.evaluate_cutout import evaluate_cutout, photos_of
from mobigen.train.scene_scores import draw_scenes


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_synthetic_masks(folder / "masks", 30, 96)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    tiny(ImageEncoder).save_pretrained(folder / "image_encoder")
    tiny(ClickDecoder, points=16).save_pretrained(folder / "click_decoder")
    return folder


def test_every_score_is_there_and_in_range(data, weights, tmp_path):
    lines = []
    scores = evaluate_cutout(data, weights, tmp_path, lines.append, _open_predictor, scenes=False)
    assert set(scores) == {"single", "parts"}
    assert len(lines) == 2
    for group in scores.values():
        assert set(group["centre"]) == set(group["random"]) == {"1", "2", "3", "5"}
        numbers = [*group["centre"].values(), *group["random"].values(), *group["saliency"].values()]
        assert all(0 <= number <= 1 for number in [*numbers, group["boundary_f"]])
    assert {"whole_object_rate", "part_by_box", "part_by_second_click"} <= set(scores["parts"])
    assert json.loads((tmp_path / "scores.json").read_text()) == scores
    assert (tmp_path / "samples.png").is_file()


def test_scenes_are_drawn_of_what_is_held_out(data, weights, tmp_path, monkeypatch):
    taken, lines = [], []

    def draw(photos, stickers, *which):
        taken.append((tuple(photos.keys), stickers is not None))
        return draw_scenes(photos, stickers, *which)

    monkeypatch.setattr(scene_scores, "draw_scenes", draw)
    write_synthetic_shards(tmp_path / "stickers", 2, 48)
    shutil.copytree(data / "masks", tmp_path / "masks")
    scores = evaluate_cutout(tmp_path, weights, tmp_path / "out", lines.append, _open_predictor, 2)
    assert set(scores["scenes"]) == {"drawn_ground", "beside", "laid_beside"}
    assert set(scores["everything"]) == {"photo_ground", "drawn_ground", "photos"}
    assert sum(line.startswith(("scenes, ", "everything, ")) for line in lines) == 6
    assert json.loads((tmp_path / "out" / "scores.json").read_text()) == scores
    ((keys, with_stickers),) = set(taken)
    assert all(map(is_held_out, keys))
    assert with_stickers


def test_only_what_is_held_out_is_scored(data, weights, tmp_path):
    scores = evaluate_cutout(data, weights, tmp_path, lambda line: None, _open_predictor, 3, scenes=False)
    _, held = load_masks(data / "masks", tmp_path / "cache", 64).split()
    assert sum(group["pictures"] for group in scores.values()) == min(3, len(held.keys))


class Knowing:
    """A pipeline that finds the whole of what it is shown, whatever is asked."""

    image_size = 64

    def __init__(self, wholes):
        self.wholes = wholes

    def set_image(self, image):
        self.whole = self.wholes[image.tobytes()]

    def saliency(self, return_logits=False):
        return np.where(self.whole, np.float32(50), np.float32(-50)), None

    def predict(self, points=None, labels=None, box=None, mask_input=None, multimask_output=True):
        return self.whole[None], np.ones(1), np.zeros((1, 32, 32), np.float32)


def test_who_finds_the_whole_at_every_click_has_every_whole_and_no_part(data, weights, tmp_path):
    photos = list(photos_of(load_masks(data / "masks", tmp_path / "cache", 64)))
    knowing = Knowing({photo.pixels.tobytes(): photo.whole for photo in photos})
    scores = evaluate_cutout(data, weights, tmp_path, lambda line: None, lambda folder: knowing, scenes=False)
    for group in scores.values():
        assert set(group["centre"].values()) == set(group["random"].values()) == {1.0}
        assert group["boundary_f"] == 1
        assert group["saliency"] == {"f_beta": 1.0, "mae": 0.0}
    assert scores["parts"]["whole_object_rate"] == 1
    assert scores["parts"]["part_by_box"] == scores["parts"]["part_by_second_click"] < 0.9


def test_garments_are_the_largest_parts_that_are_worn(data, tmp_path):
    for photo in photos_of(load_masks(data / "masks", tmp_path, 64)):
        sizes = [np.count_nonzero(part) for part in photo.garments]
        assert sizes == sorted(sizes, reverse=True)
        assert len(sizes) == (min(3, len(photo.present)) if len(photo.present) > 1 else 0)


def test_what_cannot_be_evaluated(data, weights, tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="no weights of ImageEncoder"):
        evaluate_cutout(data, tmp_path, tmp_path, print, _open_predictor)
    monkeypatch.setattr(module.MaskSet, "split", lambda self: (self, self.subset([])))
    with pytest.raises(InputError, match="none is held out"):
        evaluate_cutout(data, weights, tmp_path, print, _open_predictor)
