"""The upscalers of this repository, as a user gets them: small, and closer to the picture than bicubic."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import mobigen
from mobigen.bundle import load_bundle, measure
from mobigen.registry import MODELS

EXPORT = Path(__file__).parent.parent / "export"
SHIPPED = [name for name, model in MODELS.items() if model.task == "upscale" and (EXPORT / name).is_dir()]
LARGEST = 2 * 10**6  # bytes of all graphs


def poster(size=480):
    """Letters and discs, with soft edges, as a photo of them has."""
    image = Image.new("RGB", (4 * size, 4 * size), (230, 225, 210))
    draw = ImageDraw.Draw(image)
    for step in range(6):
        left = 4 * size * step // 6
        draw.ellipse((left, 40, left + 3 * size // 5, 40 + 3 * size // 5), fill=(40 * step, 200 - 30 * step, 90))
    for row in range(4):
        draw.text((30, (1.1 + 0.7 * row) * size), "Sharper than before", (25, 20, 60), ImageFont.load_default(90))
    return image.resize((size, size), Image.Resampling.BOX)


def as_phones_save(image):
    """With a sensor's noise, as JPEG."""
    noise = np.random.default_rng(0).normal(0, 4, (*image.size[::-1], 3))
    file = io.BytesIO()
    Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=80)
    return Image.open(file)


def decibels(first, second):
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    return 20 * np.log10(255 / np.sqrt(np.mean(difference[12:-12, 12:-12] ** 2)))


def test_there_is_one_for_every_scale():
    if not SHIPPED:
        pytest.skip("no upscaler has been exported")
    assert {f"upscale-x{scale}" for scale in (2, 3, 4)} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_small_and_has_its_credits(name):
    metadata = load_bundle(EXPORT / name).metadata
    assert metadata.name == name
    assert metadata.credits
    assert measure(EXPORT / name)[0] <= LARGEST
    graph = metadata.components["upscaler"].backends
    assert set(graph) == {"litert", "coreml"}
    assert graph["litert"].edges == ("uint8" if name.endswith("int8") else "float32")


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_closer_to_the_picture_than_bicubic(name):
    large, upscaler = poster(), mobigen.load(EXPORT / name, threads=2)
    small = large.resize([side // upscaler.scale for side in large.size], Image.Resampling.BICUBIC)
    small = as_phones_save(small) if name == "upscale-x4-photo" else small  # each by what it is for
    bicubic = small.resize(large.size, Image.Resampling.BICUBIC)
    assert decibels(upscaler(small).images[0], large) > decibels(bicubic, large)
