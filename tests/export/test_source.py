"""What an export starts from is read whole, and what is missing or wrong is named."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tiny_bundle as tiny  # noqa: E402
from tiny_networks import tiny as tiny_network  # noqa: E402

from mobigen.errors import ExportError, InputError, WeightsError  # noqa: E402
from mobigen.export.source import gather_weights, read_source  # noqa: E402
from mobigen.models.autoencoder import Decoder, TeacherDecoder  # noqa: E402

COMPONENTS = tiny.JOINED["components"]


def test_a_model_is_read_with_its_constants(tiny_weights):
    source = read_source("sticker", tiny_weights)
    assert (source.task, list(source.networks)) == ("text-to-image", COMPONENTS)
    assert source.pipeline == tiny.PIPELINE
    assert source.settings.styles == tuple(tiny.STYLES)
    assert source.files == {"tokenizer": tiny_weights / "tokenizer.json"}
    assert source.licence == tiny.CREDITS["licence"]


def test_components_that_the_pipeline_does_not_join_are_left_out(weights):
    tiny_network(TeacherDecoder).save_pretrained(weights / "teacher_decoder")
    assert list(read_source("sticker", weights).networks) == COMPONENTS


def test_a_part_of_a_model_is_bare_networks(tiny_weights):
    source = read_source("sticker", tiny_weights, ["decoder"])
    assert (source.task, list(source.networks), source.pipeline, source.files) == ("networks", ["decoder"], {}, {})
    assert source.licence == tiny.CREDITS["licence"]


def test_a_single_network_and_a_folder_of_them_are_bare_too(tmp_path):
    tiny_network(Decoder).save_pretrained(tmp_path / "mine" / "polished")
    assert list(read_source("x", tmp_path / "mine" / "polished").networks) == ["decoder"]
    source = read_source("x", tmp_path / "mine")
    assert (source.task, list(source.networks), source.licence) == ("networks", ["polished"], "not stated")


def test_the_same_weights_have_the_same_hash_and_others_another(weights):
    first = read_source("a", weights).weights_sha256
    (weights / "decoder" / "README.md").write_text("a card is not a weight")
    assert read_source("b", weights).weights_sha256 == first
    config = weights / "decoder" / "config.json"
    config.write_text(config.read_text() + " ")
    assert read_source("c", weights).weights_sha256 != first


# --- several folders ----------------------------------------------------------------------------------------


def test_what_one_folder_lacks_comes_from_the_next(tiny_weights, tmp_path):
    changed = shutil.copytree(tiny_weights / "decoder", tmp_path / "run" / "decoder")
    (changed / "config.json").write_text((changed / "config.json").read_text() + " ")
    (tmp_path / "run" / "cache").mkdir()
    with gather_weights([tmp_path / "run", tiny_weights]) as gathered:
        assert not (gathered / "cache").exists()
        assert (gathered / "decoder" / "config.json").read_text().endswith(" ")
        assert read_source("sticker", gathered).task == "text-to-image"


def test_a_single_networks_folder_takes_its_place(tiny_weights, tmp_path):
    alone = shutil.copytree(tiny_weights / "denoiser", tmp_path / "merged")
    (alone / "config.json").write_text((alone / "config.json").read_text() + " ")
    with gather_weights([alone, tiny_weights]) as gathered:
        assert (gathered / "denoiser" / "config.json").read_text().endswith(" ")
        assert list(read_source("sticker", gathered).networks) == COMPONENTS


def test_a_folder_that_is_not_there_is_named(tiny_weights, tmp_path):
    with (
        pytest.raises(WeightsError, match=r"no folder .*nowhere"),
        gather_weights([tmp_path / "nowhere", tiny_weights]),
    ):
        pass


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["credits.json", "denoiser"])
def test_missing_weights_are_named(name, weights):
    path = weights / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(WeightsError, match=name):
        read_source("sticker", weights)


def test_a_missing_tokenizer_is_named(weights):
    (weights / "tokenizer.json").unlink()
    with pytest.raises(ExportError, match="tokenizer is not among the files"):
        read_source("sticker", weights)


def test_a_folder_without_networks_is_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"no config\.json"):
        read_source("x", tmp_path)


def test_files_that_are_not_json_are_named(weights):
    for text in ("{", "[]"):
        (weights / "pipeline.json").write_text(text)
        with pytest.raises(WeightsError, match=r"pipeline\.json"):
            read_source("sticker", weights)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("task", ..., "task is missing"),
        ("task", "text-to-soup", "task is 'text-to-soup', accepted: text-to-image"),
        ("components", [], "components is"),
        ("default_style", "cubist", "default_style is 'cubist'"),
        ("default_steps", 3, "default_steps is 3"),
        ("sampler", {"kind": "euler", "times": {"4": [1.0, 0.5]}}, "sampler: times: 4"),
    ],
)
def test_pipeline_constants_that_cannot_work_are_refused(key, value, message, weights):
    values = {**tiny.JOINED, **tiny.PIPELINE, key: value}
    (weights / "pipeline.json").write_text(json.dumps({name: each for name, each in values.items() if each is not ...}))
    with pytest.raises(ExportError, match=f"{message}.*; correct it and export again"):
        read_source("sticker", weights)


def test_credits_without_a_licence_are_refused(weights):
    (weights / "credits.json").write_text(json.dumps({"licence": "MIT", "credits": [{"name": "somebody"}]}))
    with pytest.raises(ExportError, match=r"credits\[0\]: licence is missing"):
        read_source("sticker", weights)


# --- inputs of bare networks --------------------------------------------------------------------------------


def test_given_inputs_are_taken_sample_by_sample(tiny_weights, tmp_path):
    latents = np.random.default_rng(0).standard_normal((3, 4, 4, 4), dtype=np.float32)
    np.savez(tmp_path / "inputs.npz", latent=latents)
    samples = read_source("x", tiny_weights / "decoder", inputs=tmp_path / "inputs.npz").samples["decoder"]
    assert len(samples) == 3
    np.testing.assert_array_equal(np.concatenate([each["latent"] for each in samples]), latents)


def test_inputs_of_several_networks_are_named_in_full(tiny_weights, tmp_path):
    latents = np.zeros((2, 4, 4, 4), np.float32)
    np.savez(
        tmp_path / "inputs.npz", **{"decoder.latent": latents, "text_encoder.token_ids": np.ones((2, 8), np.int32)}
    )
    source = read_source("x", tiny_weights, ["decoder", "text_encoder"], tmp_path / "inputs.npz")
    assert {name: len(each) for name, each in source.samples.items()} == {"decoder": 2, "text_encoder": 2}


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"latent": np.zeros((1, 4, 4, 4), np.float32)},
        {"latent": np.zeros((2, 4, 4, 5), np.float32)},
        {"latent": np.zeros((2, 4, 4, 4))},
        {"latent": np.float32(1)},
    ],
)
def test_inputs_that_do_not_fit_are_refused(arrays, tiny_weights, tmp_path):
    np.savez(tmp_path / "inputs.npz", **arrays)
    with pytest.raises(InputError, match=r"for latent; accepted: float32 of shape \(samples, 4, 4, 4\)"):
        read_source("x", tiny_weights / "decoder", inputs=tmp_path / "inputs.npz")


def test_inputs_that_are_no_archive_or_not_wanted_are_refused(tiny_weights, tmp_path):
    (tmp_path / "inputs.npz").write_bytes(b"soup")
    with pytest.raises(InputError, match=r"not an \.npz file"):
        read_source("x", tiny_weights / "decoder", inputs=tmp_path / "inputs.npz")
    with pytest.raises(InputError, match="is not needed"):
        read_source("x", tiny_weights, inputs=tmp_path / "inputs.npz")
