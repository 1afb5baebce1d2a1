"""What reaches the networks is what their pipeline sends them after clicks in drawn pictures."""

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")

import tiny_cutout as tiny
from tiny_networks import tiny as network

from mobigen.answers import DOUBT
from mobigen.errors import ExportError
from mobigen.export.engine import observe
from mobigen.export.source import read_source
from mobigen.export.tasks import cutout as task
from mobigen.models.segmenter import ClickDecoder


@pytest.fixture(scope="module")
def source(cutout_weights):
    return read_source("cutout", cutout_weights)


@pytest.fixture(scope="module")
def seen(source):
    return observe(source, task.requests(source).parity)


def test_the_networks_are_in_their_deploy_form(source):
    assert all(network.fused for network in source.networks.values())


def test_every_call_of_a_component_is_kept(seen):
    count = len(task.PARITY_SEEDS)
    assert {name: len(calls) for name, calls in seen.inputs.items()} == {
        "image_encoder": count,
        "click_decoder": 3 * count,
    }


def test_the_second_click_comes_with_the_first_answer(seen):
    for trail, index in zip(seen.trails, range(0, 12, 3), strict=True):
        first, second, boxed = seen.inputs["click_decoder"][index : index + 3]
        assert not first["mask"].any()
        np.testing.assert_array_equal(second["mask"][0, 0], DOUBT * trail.steps[0][0])
        assert second["labels"][0, :3].tolist() == [1, 0, -1]
        assert boxed["labels"][0, :3].tolist() == [2, 3, -1]


def test_a_trail_ends_with_probabilities(seen):
    for trail in seen.trails:
        assert trail.result.shape == trail.steps[0].shape
        assert 0 <= trail.result.min() <= trail.result.max() <= 1


def test_pictures_differ_and_come_again():
    first, again = task.draw_request(0), task.draw_request(0)
    np.testing.assert_array_equal(first.picture, again.picture)
    assert not set(task.PARITY_SEEDS) & set(task.CALIBRATION_SEEDS)
    shapes = {task.draw_request(seed).picture.shape for seed in range(4)}
    assert len(shapes) == 2
    x, y = first.click
    assert (first.picture[int(y), int(x)].astype(int) - first.picture[2, 2]).any()


@pytest.fixture
def weights(cutout_weights, tmp_path):
    return shutil.copytree(cutout_weights, tmp_path / "weights")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("image_size", 128, r"image of image_encoder to be \(1, 128, 128, 3\)"),
        ("max_points", 7, r"points of click_decoder to be \(1, 7, 2\)"),
        ("image_size", 63, "image_size is 63, an even number"),
    ],
)
def test_constants_that_are_not_the_networks_are_refused(key, value, message, weights):
    (weights / "pipeline.json").write_text(json.dumps(tiny.JOINED | tiny.PIPELINE | {key: value}))
    with pytest.raises(ExportError, match=message):
        task.check(read_source("cutout", weights))


def test_a_model_without_its_decoder_is_refused(weights):
    joined = {"task": "cutout", "components": ["image_encoder"]}
    (weights / "pipeline.json").write_text(json.dumps(joined | tiny.PIPELINE))
    with pytest.raises(ExportError, match="lacks its click_decoder"):
        task.check(read_source("cutout", weights))


def test_networks_that_do_not_fit_each_other_are_refused(weights):
    network(ClickDecoder, points=tiny.POINTS, dims=(8, 6, 5)).save_pretrained(weights / "click_decoder")
    with pytest.raises(ExportError, match=r"the encoder's detail is \(1, 16, 16, 7\), the decoder takes"):
        task.check(read_source("cutout", weights))
