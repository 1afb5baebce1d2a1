"""The sticker bundle of this repository, as a creator gets it."""

from pathlib import Path

import numpy as np
import pytest

import mobigen
from mobigen.bundle import load_bundle, measure

FOLDER = Path(__file__).parent.parent / "export" / "sticker"
LARGEST = 30 * 10**6  # bytes of what an app ships: the graphs of one runtime, and the files beside them

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the bundle has not been exported")


@pytest.fixture(scope="module")
def sticker():
    return mobigen.load(FOLDER)


def test_it_fits_in_a_phone():
    beside = sum(measure(path)[0] for path in FOLDER.iterdir() if path.name != "litert")
    assert measure(FOLDER / "litert")[0] + beside <= LARGEST


def test_it_is_what_the_commands_promise():
    metadata = load_bundle(FOLDER).metadata
    assert metadata.name == "sticker"
    assert metadata.settings.styles == ("3d", "color", "flat", "noto", "twemoji", "emojitwo", "blob")
    assert tuple(metadata.settings.sampler.times) == (1, 2, 4)
    assert metadata.settings.default_style == "3d"
    assert metadata.settings.image_size == 256
    assert metadata.credits
    assert all("litert" in each.backends for each in metadata.components.values())


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_sticker_has_a_subject_on_a_clear_ground(sticker, steps):
    pixels = sticker("a red apple", num_inference_steps=steps, seed=7, output_type="np").images[0]
    assert pixels.shape == (256, 256, 4)
    opaque = pixels[..., 3] > 250
    assert 0.05 < opaque.mean() < 0.98
    assert (pixels[..., 3] < 5).mean() > 0.02
    red, green, blue = pixels[opaque][:, :3].mean(axis=0)
    assert red > max(green, blue)


def test_the_same_seed_gives_the_same_sticker(sticker):
    first, second = (sticker("a sleepy fox", seed=3, output_type="np").images[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_torch_draws_the_same_sticker(sticker):
    """From the same noise; the whole file's numbers, colours under faint alpha included."""
    pytest.importorskip("torch")
    networks = mobigen.load(FOLDER, backend="torch")
    first, second = (
        pipeline("a cactus", num_inference_steps=4, seed=7, output_type="np").images[0].astype(float)
        for pipeline in (sticker, networks)
    )
    assert 20 * np.log10(255 / np.sqrt(((first - second) ** 2).mean())) > 35
