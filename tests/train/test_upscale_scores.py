"""The table of super-resolution: the protocol, networks found by folder, and what a row says."""

import json

import numpy as np
import pytest
import torch
from tiny_networks import tiny

from mobigen.bicubic import resize_matrix
from mobigen.data.photos import read_photos, reduce
from mobigen.data.resize import resize
from mobigen.data.synthetic import write_synthetic_photos
from mobigen.errors import InputError, WeightsError
from mobigen.models.autoencoder import Decoder
from mobigen.models.plain_upscaler import PlainUpscaler
from mobigen.models.sesr import SESR, SIZES
from mobigen.models.syenet import SYENet
from mobigen.models.xlsr import XLSR
from mobigen.train.fidelity import luma_of_pixels, psnr, ssim
from mobigen.train.upscale_scores import PUBLISHED, count_macs, evaluate_upscale, score

SET = "sr-test-set5"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_synthetic_photos(folder / SET, 2, width=47, height=38)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    tiny(PlainUpscaler, scale=2).save_component(folder / "ours-x2")
    tiny(SESR, scale=2).save_component(folder / "sesr-x2")
    tiny(SYENet, scale=3).save_component(folder / "syenet-x3")
    tiny(Decoder).save_component(folder / "not-one")
    return folder


def evaluate(data, weights, out, **options):
    told = []
    return evaluate_upscale(data, weights, out, told.append, **options), told


def test_bicubic_is_scored_on_luma_that_is_not_rounded(data):
    """Written out with matrices, on whole 8-bit pictures."""
    pictures = [pixels for _, pixels in read_photos(data / SET)]
    found = score(lambda small: resized(small, 3), 3, {SET: pictures})[SET]
    expected = []
    for pixels in pictures:
        truth = pixels[:36, :45]
        small = np.rint(np.clip(by_matrices(truth.astype(float), 12, 15), 0, 255))
        large = np.rint(np.clip(by_matrices(small, 36, 45), 0, 255)).astype(np.uint8)
        maps = luma_of_pixels(large), luma_of_pixels(truth)
        expected.append((psnr(*maps, 3), ssim(*maps, 3)))
    assert found == pytest.approx(tuple(np.mean(expected, axis=0)), abs=2e-3)


def by_matrices(pixels, height, width):
    rows, columns = resize_matrix(pixels.shape[0], height), resize_matrix(pixels.shape[1], width)
    return np.stack([rows @ pixels[..., channel] @ columns.T for channel in range(3)], axis=-1)


def resized(small, scale):
    return resize(small, small.shape[2] * scale, small.shape[3] * scale)


def test_rows_stand_by_scale_under_bicubic(data, weights, tmp_path):
    rows, told = evaluate(data, [weights / "syenet-x3", weights / "sesr-x2", weights / "ours-x2"], tmp_path)
    assert [(row.name, row.scale) for row in rows] == [
        ("bicubic", 2), ("sesr-x2", 2), ("ours-x2", 2), ("bicubic", 3), ("syenet-x3", 3),
    ]  # fmt: skip
    assert len(told) == 5
    assert all(set(row.scores) == {SET} for row in rows)
    written = json.loads((tmp_path / "scores.json").read_text())
    assert [row["name"] for row in written] == [row.name for row in rows]
    assert rows[0].parameters is None
    assert rows[2].milliseconds is None


def test_a_folder_of_models_gives_all_its_upscalers(data, weights, tmp_path):
    rows, _ = evaluate(data, [weights], tmp_path)
    assert {row.name for row in rows} == {"bicubic", "ours-x2", "sesr-x2", "syenet-x3"}


class Nearest:
    """In the place of a loaded bundle."""

    scale = 2

    def upscale(self, image):
        assert image.dtype == np.uint8
        return image.repeat(2, 0).repeat(2, 1)


def test_a_pipeline_is_scored_as_its_users_get_it(data, weights, tmp_path):
    rows, _ = evaluate(data, [weights / "sesr-x2"], tmp_path, pipelines={"nearest": Nearest()})
    assert [row.name for row in rows] == ["bicubic", "sesr-x2", "nearest"]
    pictures = [pixels for _, pixels in read_photos(data / SET)]
    expected = score(lambda small: small.repeat_interleave(2, 2).repeat_interleave(2, 3), 2, {SET: pictures})
    assert rows[2].scores == expected


@torch.no_grad()
def test_a_network_is_scored_on_what_it_makes_of_the_reduced_picture(data, weights, tmp_path):
    (_, row), _ = evaluate(data, [weights / "sesr-x2"], tmp_path)
    network = SESR.from_pretrained(weights / "sesr-x2" / "upscaler")
    decibels = []
    for _, pixels in read_photos(data / SET):
        truth = pixels[:38, :46]
        small = reduce(torch.from_numpy(truth.copy()).permute(2, 0, 1)[None] / 255, 2)
        luma = (16 + (torch.tensor([65.481, 128.553, 24.966]) @ small[0].flatten(1))).unflatten(
            0, small.shape[2:]
        ) / 255
        padded = torch.nn.functional.pad(luma[None, None], (6,) * 4, mode="replicate")
        found = (network(padded)[0, 0, 12:-12, 12:-12] * 255).numpy()
        decibels.append(psnr(found.astype(float), luma_of_pixels(truth), 2))
    assert row.scores[SET][0] == pytest.approx(np.mean(decibels), abs=2e-3)


def test_it_is_timed_and_counted_in_its_deployed_form_at_640x360(data, weights, tmp_path):
    asked = []

    def time(network):
        asked.append(network)
        return 12.5

    (_, row), _ = evaluate(data, [weights / "ours-x2"], tmp_path, time=time)
    assert row.milliseconds == 12.5
    (network,) = asked
    assert network.signature().inputs[0].shape == (1, 3, 360, 640)
    assert row.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert network.config["fused"]


@pytest.mark.parametrize(
    ("network", "published"), [(SESR(2, *SIZES["M5"]), 3.12e9), (SESR(2, *SIZES["XL"]), 24.3e9), (XLSR(3), 4.98e9)]
)
def test_multiply_adds_are_those_published(network, published):
    assert count_macs(network.fuse().at_tile(360, 640)) == pytest.approx(published, rel=0.005)


def test_shards_may_lie_in_the_data_folder_itself(data, weights, tmp_path):
    rows, _ = evaluate(data / SET, [weights / "sesr-x2"], tmp_path)
    assert set(rows[0].scores) == {SET}


def test_nothing_to_compare(weights, tmp_path):
    with pytest.raises(InputError, match="no test set in"):
        evaluate(tmp_path, [weights], tmp_path)


def test_what_is_no_upscaler_is_refused(data, weights, tmp_path):
    with pytest.raises(WeightsError, match="holds no network"):
        evaluate(data, [tmp_path / "nowhere"], tmp_path)
    tiny(Decoder).save_component(tmp_path / "other", "upscaler")
    with pytest.raises(WeightsError, match="holds a Decoder, not an upscaler"):
        evaluate(data, [tmp_path / "other"], tmp_path)


def test_published_figures_name_their_source():
    assert len(PUBLISHED) > 5
    assert all(each.source and each.set == SET for each in PUBLISHED)
    assert all(35 < each.decibels < 39 for each in PUBLISHED if each.scale == 2)
