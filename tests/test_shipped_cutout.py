"""The cutout bundle of this repository, as a creator gets it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

import mobigen
from mobigen.bundle import load_bundle, measure

FOLDER = Path(__file__).parent.parent / "export" / "cutout"
LARGEST = 10 * 10**6  # bytes of one runtime's graphs

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the bundle has not been exported")


def drawn():
    """A red disk, shaded and grainy, on a mottled ground: a picture (300, 400, 3) and where the disk is."""
    source = np.random.default_rng(0)
    picture = cv2.resize(source.integers(90, 170, (4, 5, 3), np.uint8), (400, 300), interpolation=cv2.INTER_CUBIC)
    disk = cv2.circle(np.zeros((300, 400), np.uint8), (180, 150), 80, 1, -1).astype(bool)
    shade = np.mgrid[:300, :400][0][disk, None] * 0.4
    picture[disk] = (np.array([230, 60, 40]) - shade).clip(0, 255)
    return np.clip(picture + source.normal(0, 4, picture.shape), 0, 255).astype(np.uint8), disk


def iou(mask, other):
    return (mask & other).sum() / (mask | other).sum()


@pytest.fixture(scope="module")
def predictor():
    predictor = mobigen.load(FOLDER)
    predictor.set_image(drawn()[0])
    return predictor


def test_it_fits_in_a_phone():
    metadata = load_bundle(FOLDER).metadata
    assert metadata.name == "cutout"
    assert metadata.credits
    assert all("litert" in each.backends for each in metadata.components.values())
    assert measure(FOLDER / "litert")[0] <= LARGEST


def test_what_stands_out_is_found_without_a_click(predictor):
    mask, _ = predictor.saliency()
    assert iou(mask, drawn()[1]) > 0.8
    assert predictor.suggest().point_labels.tolist() == [1]


def test_a_click_and_a_box_find_it(predictor):
    for prompt in ({"point_coords": [[180, 150]], "point_labels": [1]}, {"box": [98, 68, 262, 232]}):
        masks, scores, _ = predictor.predict(**prompt, multimask_output=False)
        assert iou(masks[0], drawn()[1]) > 0.8
        assert scores[0] > 0.5


def test_everything_finds_it_and_little_else(predictor):
    records = predictor.everything(points_per_side=6)
    assert 1 <= len(records) <= 3
    assert max(iou(each["segmentation"], drawn()[1]) for each in records) > 0.8


def test_a_cutout_has_the_objects_colour_and_a_clear_ground(predictor):
    cut = predictor.cut(predictor.saliency(return_logits=True)[0])
    assert cut[150, 180, 3] == 255
    assert (cut[..., 3] == 0).mean() > 0.5
    red, green, blue = cut[cut[..., 3] > 250][:, :3].mean(0)
    assert red > 2 * max(green, blue)
