"""What reaches the upscaler is tiles of pictures, and constants that would leave seams are refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import tiny_upscale as tiny

from mobigen.bundle import load_bundle
from mobigen.errors import ExportError
from mobigen.export.engine import observe
from mobigen.export.source import read_source
from mobigen.export.tasks import upscale as task


@pytest.fixture(scope="module")
def source(upscale_weights):
    return read_source("upscale-x2", upscale_weights)


@pytest.fixture
def weights(upscale_weights, tmp_path):
    return Path(shutil.copytree(upscale_weights, tmp_path / "weights"))


def change(weights, **values):
    (weights / "pipeline.json").write_text(json.dumps(tiny.JOINED | tiny.PIPELINE | values))
    return read_source("upscale-x2", weights)


def test_pictures_take_more_than_one_tile(source):
    requests = task.requests(source).parity
    seen = observe(source, requests)
    assert len(seen.inputs["upscaler"]) >= 2 * len(requests)
    for trail, picture in zip(seen.trails, requests, strict=True):
        assert trail.steps == ()
        assert trail.result.shape == (picture.shape[0] * 2, picture.shape[1] * 2, 3)
        assert 0 <= trail.result.min() < trail.result.max() <= 1


def test_pictures_have_flat_sharp_and_grainy_parts():
    picture = task.draw_picture(320, 128, 0)
    steps = np.abs(np.diff(picture.astype(int), axis=1)).max(-1)
    assert picture.shape == (128, 320, 3)
    assert (steps[:, :150] <= 2).mean() > 0.3
    assert (steps > 60).mean() > 0.002
    assert steps[:, 170:].mean() > steps[:, :150].mean()
    np.testing.assert_array_equal(picture, task.draw_picture(320, 128, 0))
    assert (picture != task.draw_picture(320, 128, 1)).any()


def test_what_is_judged_was_not_fitted():
    assert not set(task.PARITY_SEEDS) & set(task.CALIBRATION_SEEDS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale": 3}, "means a scale of 3, the network makes"),
        ({"overlap": 12}, "leaves nothing of a tile"),
        ({"overlap": 2}, "leaves seams: the network looks 3 far"),
    ],
)
def test_constants_that_are_not_the_networks_are_refused(values, message, weights):
    with pytest.raises(ExportError, match=message):
        task.check(change(weights, **values))


def test_scales_that_no_pipeline_has_are_refused(weights):
    with pytest.raises(ExportError, match="scale is 5, accepted: 2, 3, 4"):
        change(weights, scale=5)


def test_a_model_without_its_upscaler_is_refused(weights):
    (weights / "upscaler").rename(weights / "other")
    source = change(weights, components=["other"])
    with pytest.raises(ExportError, match="lacks its upscaler"):
        task.check(source)


def test_the_bundle_holds_the_deployed_form_and_its_tiles(upscale_bundle):
    metadata = load_bundle(upscale_bundle).metadata
    component = metadata.components["upscaler"]
    assert metadata.task == "upscale"
    assert (metadata.settings.scale, metadata.settings.overlap) == (tiny.SCALE, tiny.OVERLAP)
    assert {each.inputs[0].shape for each in component.sizes.values()} == {(1, 3, size, size) for size in tiny.TILES}
    report = json.loads((upscale_bundle / "report.json").read_text())["backends"]["litert"]
    assert report["graphs"][0]["parameters"] == sum(each.numel() for each in tiny.network().fuse().parameters())
    assert min(report["results_db"]) > 45
