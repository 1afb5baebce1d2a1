"""The text-to-image pipeline on the tiny exported model."""

import json

import numpy as np
import pytest
from PIL import Image

import mobigen
from mobigen.errors import BundleError, InputError, MobigenWarning, WeightsError
from mobigen.pipelines import TextToImagePipeline
from mobigen.pipelines.text_to_image import _to_pixels


def pixels(output):
    return [np.asarray(image) for image in output.images]


def test_the_same_seed_gives_the_same_pixels(pipeline):
    first, second = (pipeline("a red apple", seed=7) for _ in range(2))
    assert first.seeds == [7]
    np.testing.assert_array_equal(pixels(first)[0], pixels(second)[0])


@pytest.mark.parametrize(
    "other", [{"seed": 8}, {"style": "flat"}, {"num_inference_steps": 2}, {"prompt": "a green car"}]
)
def test_every_argument_changes_the_picture(pipeline, other):
    arguments = {"prompt": "a red apple", "seed": 7, "output_type": "np"}
    assert (pipeline(**arguments).images[0] != pipeline(**(arguments | other)).images[0]).mean() > 0.03


def test_pictures_are_rgba_of_the_stated_size(pipeline):
    image = pipeline("a fox", seed=1).images[0]
    assert isinstance(image, Image.Image)
    assert (image.mode, image.size) == ("RGBA", (64, 64))
    array = pipeline("a fox", seed=1, output_type="np").images[0]
    assert (array.dtype, array.shape) == (np.uint8, (64, 64, 4))
    np.testing.assert_array_equal(array, np.asarray(image))


def test_nothing_hides_behind_full_transparency(pipeline):
    images = np.stack(pipeline("a fox", seed=0, num_images_per_prompt=8, output_type="np").images)
    clear = images[..., 3] == 0
    assert clear.any()
    assert not images[clear].any()
    assert images[~clear].any()


def test_colour_fades_with_the_last_of_alpha_and_that_is_not_seen():
    alpha = np.linspace(0, 1, 256, dtype=np.float32)[None]
    planes = np.concatenate([np.full((3, 1, 256), 0.8, np.float32), alpha[None]])
    pixels = _to_pixels(planes)[0].astype(float)
    assert np.abs(np.diff(pixels[:, 0])).max() <= 255 / 16  # a level of alpha changes no colour by more
    np.testing.assert_array_equal(pixels[16:, :3], 204)
    np.testing.assert_array_equal(pixels[:, 3], np.arange(256))
    seen = pixels[:, :3] * pixels[:, 3:] / 255
    assert np.abs(seen - 0.8 * pixels[:, 3:]).max() < 4


def test_several_prompts_and_pictures_come_in_order_with_their_seeds(pipeline):
    output = pipeline(["a fox", "a car"], seed=5, num_images_per_prompt=2)
    assert output.seeds == [5, 6, 5, 6]
    assert [each["prompt"] for each in output.parameters] == ["a fox", "a fox", "a car", "a car"]


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_any_picture_of_a_set_can_be_made_alone(pipeline, steps):
    together = pipeline(["a fox", "a car"], seed=5, num_images_per_prompt=2, num_inference_steps=steps)
    alone = pipeline("a car", seed=6, num_inference_steps=steps)
    np.testing.assert_array_equal(pixels(together)[3], pixels(alone)[0])


def test_parameters_make_the_picture_again(pipeline):
    output = pipeline("  a   red fox ", style="noto", num_inference_steps=2)
    parameters = output.parameters[0]
    assert parameters == {
        "prompt": "a red fox",
        "style": "noto",
        "steps": 2,
        "seed": output.seeds[0],
        "model": "sticker",
        "version": mobigen.__version__,
    }
    again = pipeline(parameters["prompt"], style="noto", num_inference_steps=2, seed=parameters["seed"])
    np.testing.assert_array_equal(pixels(output)[0], pixels(again)[0])


def test_without_a_seed_each_prompt_gets_another(pipeline):
    assert len(set(pipeline(["a fox"] * 4, num_inference_steps=1).seeds)) == 4


def test_white_space_and_case_do_not_matter(pipeline):
    plain, odd = (pipeline(prompt, seed=3) for prompt in ("a red apple", " A  Red\tApple "))
    np.testing.assert_array_equal(pixels(plain)[0], pixels(odd)[0])


# --- callbacks ----------------------------------------------------------------------------------------------


def test_the_callback_sees_every_step(pipeline):
    seen = []

    def watch(source, step, time, state):
        assert source is pipeline
        assert state["latents"].shape == (1, 4, 4, 4)
        seen.append((state["image_index"], step, time))

    pipeline("a fox", seed=1, num_images_per_prompt=2, callback_on_step_end=watch)
    times = list(enumerate((1.0, 0.9, 0.75, 0.5)))
    assert seen == [(image, step, time) for image in (0, 1) for step, time in times]


def test_the_last_preview_is_the_picture(pipeline):
    previews = []
    output = pipeline(
        "a fox", seed=1, callback_on_step_end=lambda _, step, time, state: previews.append(state["preview"]())
    )
    assert len(previews) == 4
    np.testing.assert_array_equal(np.asarray(previews[-1]), pixels(output)[0])
    assert (np.asarray(previews[0]) != pixels(output)[0]).any()


def test_watching_changes_nothing(pipeline):
    watched = pipeline("a fox", seed=1, callback_on_step_end=lambda *_: {})
    np.testing.assert_array_equal(pixels(watched)[0], pixels(pipeline("a fox", seed=1))[0])


def test_the_callback_can_replace_latents(pipeline):
    def restore(source, step, time, state):
        return {"latents": kept} if step == 3 else None

    kept = np.zeros((1, 4, 4, 4))
    outputs = [pipeline("a fox", seed=seed, callback_on_step_end=restore) for seed in (1, 2)]
    np.testing.assert_array_equal(pixels(outputs[0])[0], pixels(outputs[1])[0])


def test_latents_of_another_shape_are_refused(pipeline):
    with pytest.raises(InputError, match=r"latents are \(1, 4\); accepted: \(1, 4, 4, 4\)"):
        pipeline("a fox", callback_on_step_end=lambda *_: {"latents": np.zeros((1, 4))})


def test_interrupting_keeps_the_finished_pictures(pipeline):
    def stop(source, step, time, state):
        if (state["image_index"], step) == (1, 2):
            source.interrupt()

    output = pipeline("a fox", seed=1, num_images_per_prompt=3, callback_on_step_end=stop)
    assert output.seeds == [1]
    assert pipeline("a fox", seed=1).seeds == [1]


def test_a_stream_hands_over_each_picture_as_it_is_made(pipeline):
    made = []
    stream = pipeline.stream(
        ["a fox", "a car"], seed=1, callback_on_step_end=lambda _, step, time, state: made.append(step)
    )
    assert made == []
    assert next(stream).parameters["prompt"] == "a fox"
    assert made == [0, 1, 2, 3]


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"prompt": ""}, "empty"),
        ({"prompt": []}, "no prompts"),
        ({"prompt": ["a fox", "\U0001f98a"]}, "Latin"),
        ({"style": "baroque"}, "'baroque'; accepted: 3d, flat, noto"),
        ({"num_inference_steps": 0}, "0 steps are not offered; accepted: 1, 2, 4"),
        ({"num_inference_steps": 3}, "3 steps are not offered; accepted: 1, 2, 4"),
        ({"num_inference_steps": True}, "True steps"),
        ({"num_inference_steps": 4.0}, "4.0 steps"),
        ({"seed": -1}, "seed is -1; accepted: 0 to 4294967295"),
        ({"seed": 2**32}, "accepted: 0 to 4294967295"),
        ({"seed": 2**32 - 1, "num_images_per_prompt": 2}, "accepted: 0 to 4294967294"),
        ({"seed": 1.5}, r"seed is 1\.5"),
        ({"seed": True}, "seed is True"),
        ({"num_images_per_prompt": 0}, "accepted: 1 or more"),
        ({"output_type": "latent"}, "accepted: pil, np"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_made(pipeline, arguments, complaint):
    def made(*_):
        pytest.fail("a step was taken")

    with pytest.raises(InputError, match=complaint):
        pipeline(**({"prompt": "a fox", "callback_on_step_end": made} | arguments))


def test_the_highest_seed_works(pipeline):
    assert pipeline("a fox", seed=2**32 - 1).seeds == [2**32 - 1]


def test_a_numpy_seed_is_recorded_as_a_plain_number(pipeline):
    assert json.dumps(pipeline("a fox", seed=np.int64(3)).parameters)


def test_a_long_prompt_is_cut_with_a_warning(pipeline):
    long = "a red apple " * 3
    with pytest.warns(MobigenWarning, match=r"end was cut.*a red apple a red apple a red") as caught:
        output = pipeline(long, seed=1)
    assert len(caught) == 1
    np.testing.assert_array_equal(pixels(output)[0], pixels(pipeline("a red apple a red apple a red", seed=1))[0])


# --- backends and bundles -----------------------------------------------------------------------------------


def test_torch_agrees_with_litert(exported_bundle, tiny_weights, pipeline):
    research = mobigen.load(exported_bundle, backend="torch", weights=tiny_weights)
    by_torch = research("a red apple", seed=7, output_type="np").images[0].astype(float)
    by_litert = pipeline("a red apple", seed=7, output_type="np").images[0].astype(float)
    assert 20 * np.log10(255 / np.sqrt(((by_torch - by_litert) ** 2).mean() + 1e-9)) > 35


def test_an_unknown_backend_is_refused(exported_bundle):
    with pytest.raises(InputError, match="'onnx'; accepted: litert, coreml, torch"):
        mobigen.load(exported_bundle, backend="onnx")


@pytest.mark.parametrize("threads", [0, -2])
def test_threads_must_be_positive(exported_bundle, threads):
    with pytest.raises(InputError, match=f"threads is {threads}"):
        mobigen.load(exported_bundle, threads=threads)


def test_missing_weights_are_named(exported_bundle, tmp_path):
    with pytest.raises(WeightsError, match="no weights of text_encoder"):
        mobigen.load(exported_bundle, backend="torch", weights=tmp_path)


def test_a_tokenizer_that_is_none_is_refused(bundle_folder):
    from mobigen.bundle import measure

    (bundle_folder / "tokenizer.json").write_text("{}")
    path = bundle_folder / "metadata.json"
    values = json.loads(path.read_text())
    values["files"]["tokenizer"]["sha256"] = measure(bundle_folder / "tokenizer.json")[1]
    path.write_text(json.dumps(values))
    with pytest.raises(BundleError, match="is not a tokenizer"):
        mobigen.load(bundle_folder)


def test_bare_networks_are_no_pipeline(bundle_folder):
    path = bundle_folder / "metadata.json"
    values = json.loads(path.read_text()) | {"task": "networks"}
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="bare networks"):
        mobigen.load(bundle_folder)


def test_components_of_another_task_are_refused(bundle_folder):
    path = bundle_folder / "metadata.json"
    values = json.loads(path.read_text())
    values["components"]["denoiser"]["inputs"][0]["name"] = "sample"
    path.write_text(json.dumps(values))
    with pytest.raises(BundleError, match=r"denoiser is .*'sample'"):
        mobigen.load(bundle_folder)


def test_load_gives_the_pipeline_of_the_task(pipeline):
    assert isinstance(pipeline, TextToImagePipeline)
