"""The real inputs are those that the pipeline itself would give its components."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tiny_bundle as tiny  # noqa: E402

from mobigen.bundle import load_bundle  # noqa: E402
from mobigen.export.inputs import CALIBRATION_PROMPTS, PARITY_PROMPTS, record_inputs  # noqa: E402
from mobigen.metadata import read_metadata  # noqa: E402
from mobigen.runtime.torch import TorchComponent  # noqa: E402


@pytest.fixture(scope="module")
def components():
    return {each.component: TorchComponent(each, each.signature()) for each in tiny.tiny_networks()}


@pytest.fixture(scope="module")
def recorded(components, exported_bundle):
    settings = load_bundle(exported_bundle).metadata.settings
    return record_inputs(components, settings, exported_bundle / "tokenizer.json", PARITY_PROMPTS)


def test_every_call_of_a_component_is_kept(recorded):
    count = len(PARITY_PROMPTS)
    assert {name: len(inputs) for name, inputs in recorded.items()} == {
        "text_encoder": count,
        "denoiser": count * tiny.PIPELINE["default_steps"],
        "decoder": count,
    }


def test_steps_come_in_the_samplers_order(recorded):
    times = [float(inputs["time"][0]) for inputs in recorded["denoiser"]]
    assert times == tiny.PIPELINE["sampler"]["times"]["4"] * len(PARITY_PROMPTS)
    styles = [int(inputs["style"].argmax()) for inputs in recorded["denoiser"][::4]]
    assert styles == [0, 1, 2, 0]


def test_the_latent_that_is_decoded_is_the_pipelines(recorded, pipeline, components):
    output = pipeline(PARITY_PROMPTS[0], style=tiny.STYLES[0], seed=0, output_type="np")
    image = components["decoder"](**recorded["decoder"][0])["image"][0].clip(-1, 1)
    alpha = (image[3] + 1) * 127.5
    assert np.abs(alpha - output.images[0][..., 3]).max() < 1


def test_padding_inside_the_tokenizer_file_changes_nothing(recorded, components, exported_bundle, tmp_path):
    from tokenizers import Tokenizer

    padded = Tokenizer.from_file(str(exported_bundle / "tokenizer.json"))
    padded.enable_padding(length=tiny.TOKENS + 5, pad_id=7)
    padded.enable_truncation(2)
    padded.save(str(tmp_path / "tokenizer.json"))
    settings = load_bundle(exported_bundle).metadata.settings
    again = record_inputs(components, settings, tmp_path / "tokenizer.json", PARITY_PROMPTS)
    for before, after in zip(recorded["text_encoder"], again["text_encoder"], strict=True):
        np.testing.assert_array_equal(before["token_ids"], after["token_ids"])


def test_an_euler_sampler_is_followed_too(components, exported_bundle):
    values = json.loads((exported_bundle / "metadata.json").read_text())
    values["pipeline"]["sampler"] = {"kind": "euler", "times": {"4": [1.0, 0.7, 0.5, 0.2, 0.0]}}
    settings = read_metadata(values, "metadata.json").settings
    recorded = record_inputs(components, settings, exported_bundle / "tokenizer.json", ["a fox"])
    assert [float(inputs["time"][0]) for inputs in recorded["denoiser"]] == pytest.approx([1.0, 0.7, 0.5, 0.2])


def test_what_is_judged_was_not_fitted():
    assert not set(PARITY_PROMPTS) & set(CALIBRATION_PROMPTS)
