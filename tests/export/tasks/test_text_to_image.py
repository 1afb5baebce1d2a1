"""What reaches the networks is what their pipeline sends them, and the trail is what a person sees."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")

import tiny_bundle as tiny

from mobigen.errors import ExportError
from mobigen.export.engine import observe
from mobigen.export.source import read_source
from mobigen.export.tasks import text_to_image as task
from mobigen.models.text_encoder import TextEncoder

STEPS = tiny.PIPELINE["default_steps"]


@pytest.fixture(scope="module")
def source(tiny_weights):
    return read_source("sticker", tiny_weights)


@pytest.fixture(scope="module")
def seen(source):
    return observe(source, task.requests(source).parity)


def test_every_call_of_a_component_is_kept(seen):
    count = len(task.PARITY_PROMPTS)
    calls = {"text_encoder": count, "denoiser": count * STEPS, "decoder": count}
    assert {name: len(inputs) for name, inputs in seen.inputs.items()} == calls


def test_steps_come_in_the_samplers_order_and_styles_in_turn(seen):
    times = [float(inputs["time"][0]) for inputs in seen.inputs["denoiser"]]
    np.testing.assert_allclose(times, [1.0, 0.9, 0.75, 0.5] * len(task.PARITY_PROMPTS))
    ends = [float(inputs["until"][0]) for inputs in seen.inputs["denoiser"]]
    np.testing.assert_allclose(ends, [0.9, 0.75, 0.5, 0.0] * len(task.PARITY_PROMPTS))
    styles = [int(inputs["style"].argmax()) for inputs in seen.inputs["denoiser"][::STEPS]]
    assert styles == [0, 1, 2, 0]


def test_a_trail_has_the_latent_of_every_step_and_the_last_is_decoded(seen):
    for trail, inputs in zip(seen.trails, seen.inputs["decoder"], strict=True):
        assert len(trail.steps) == STEPS
        np.testing.assert_array_equal(trail.steps[-1], inputs["latent"])
        assert trail.result.shape == (64, 64, 4)


def test_the_same_requests_leave_the_same_trails(source, seen):
    again = observe(source, task.requests(source).parity)
    for before, after in zip(seen.trails, again.trails, strict=True):
        np.testing.assert_array_equal(before.result, after.result)


class Altered:
    """A component whose output is changed by a function."""

    def __init__(self, component, change):
        self.component, self.change, self.signature = component, change, component.signature

    def __call__(self, **inputs):
        return {name: self.change(values) for name, values in self.component(**inputs).items()}


def result(source, **changes):
    components = dict(source.components())
    for name, change in changes.items():
        components[name] = Altered(components[name], change)
    (trail,) = task.run(source, components, ["a fox"])
    return trail.result


def test_an_error_in_the_denoiser_reaches_the_result(source):
    assert np.abs(result(source) - result(source, denoiser=lambda velocity: velocity * 1.1)).max() > 0.01


def test_what_cannot_be_seen_does_not_count(source):
    def picture(colour, alpha):
        def change(image):
            image = np.full_like(image, colour)
            image[:, 3] = alpha
            return image

        return result(source, decoder=change)

    np.testing.assert_array_equal(picture(0.5, 1.0), picture(0.5, 1.7))  # beyond the range
    np.testing.assert_array_equal(picture(0.5, -1.0), picture(-0.5, -1.0))  # colour where nothing is drawn
    np.testing.assert_allclose(picture(1.0, 0.0)[0, 0], [0.5, 0.5, 0.5, 0.5], atol=0.003)


def test_what_is_judged_was_not_fitted():
    assert not set(task.PARITY_PROMPTS) & set(task.CALIBRATION_PROMPTS)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_tokens", 24, r"token_ids of text_encoder to be \(1, 24\)"),
        ("styles", ["3d", "flat"], r"style of denoiser to be \(1, 2\)"),
        ("image_size", 256, r"image of decoder to be \(1, 4, 256, 256\)"),
    ],
)
def test_constants_that_are_not_the_networks_are_refused(key, value, message, weights):
    (weights / "pipeline.json").write_text(json.dumps(tiny.JOINED | tiny.PIPELINE | {key: value}))
    with pytest.raises(ExportError, match=message):
        task.check(read_source("sticker", weights))


def test_a_model_without_its_decoder_is_refused(weights):
    joined = {"task": "text-to-image", "components": ["text_encoder", "denoiser"]}
    (weights / "pipeline.json").write_text(json.dumps(joined | tiny.PIPELINE))
    with pytest.raises(ExportError, match="lacks its decoder"):
        task.check(read_source("sticker", weights))


def test_a_tokenizer_of_another_model_is_refused(weights):
    small = TextEncoder(vocabulary=40, tokens=tiny.TOKENS, embedding_dim=8, dim=16, depth=1, heads=2)
    small.eval().save_pretrained(weights / "text_encoder")
    with pytest.raises(ExportError, match="the text encoder knows 40"):
        task.check(read_source("sticker", weights))
    (weights / "tokenizer.json").write_text("{}")
    with pytest.raises(ExportError, match="is not a tokenizer"):
        task.check(read_source("sticker", weights))
