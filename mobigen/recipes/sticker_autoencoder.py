"""The sticker model's encoder and teacher decoder."""

from __future__ import annotations

from mobigen.data.stickers import StickerBatches
from mobigen.models.autoencoder import Encoder, TeacherDecoder
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.loop import RunSettings
from mobigen.train.pictures import AutoencoderTask

__all__ = ["PERCEPTUAL_WEIGHT", "RECIPE"]

PERCEPTUAL_WEIGHT = 0.1


def make_task(workspace: Workspace) -> AutoencoderTask:
    encoder, decoder = workspace.new(Encoder), workspace.new(TeacherDecoder)
    batches = StickerBatches(workspace.stickers, workspace.device)
    return AutoencoderTask(encoder, decoder, batches, workspace.perceptual(), PERCEPTUAL_WEIGHT)


RECIPE = Recipe(
    name="sticker-autoencoder",
    makes="encoder",
    task=make_task,
    settings=RunSettings(
        minutes=7,
        train_batch_size=128,
        learning_rate=6e-4,
        lr_warmup_steps=200,
        ema_decay=0.999,
        mixed_precision="bf16",
    ),
)
