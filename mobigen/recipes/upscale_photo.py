"""The upscaler for phone photos, in two recipes run one after the other: pixels first, then features and a critic."""

from __future__ import annotations

from dataclasses import replace

from mobigen.data.degrade import degrade
from mobigen.data.photos import PairSource, draw_pairs
from mobigen.models.mfagan import AggregationGenerator, PatchDiscriminator
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.recipes.upscale import CROP, SETTINGS
from mobigen.train.loop import RunSettings
from mobigen.train.restore import PhotoRestoration, Restoration

__all__ = ["PHOTO", "PIXELS"]

MODEL, SCALE = "upscale-x4-photo", 4


def _pairs(workspace: Workspace) -> PairSource:
    return draw_pairs(workspace.photos, workspace.counts.get("crop", CROP), SCALE, degrade)


def make_pixels(workspace: Workspace) -> Restoration:
    """First of the photo upscaler's two recipes: the pixels behind blur, noise and JPEG."""
    generator = workspace.new(AggregationGenerator, config={"scale": SCALE})
    return Restoration(generator, _pairs(workspace))


def make_photo(workspace: Workspace) -> PhotoRestoration:
    """Second of the photo upscaler's two recipes: what looks like the photo, by features and a critic of patches."""
    discriminator = PatchDiscriminator(**workspace.sizes.get("discriminator", {}))
    generator = workspace.trained(AggregationGenerator)
    return PhotoRestoration(generator, discriminator, _pairs(workspace), workspace.perceptual())


PIXELS = Recipe(
    name="upscale-x4-photo-pixels",
    makes="upscaler",
    task=make_pixels,
    settings=replace(SETTINGS, minutes=12),
    model=MODEL,
)
PHOTO = Recipe(
    name=MODEL,
    makes="upscaler",
    task=make_photo,
    settings=RunSettings(
        minutes=15, train_batch_size=16, learning_rate=1e-4, lr_warmup_steps=200, weight_decay=0.0, ema_decay=0.999
    ),
    goes_on=True,
    model=MODEL,
)
