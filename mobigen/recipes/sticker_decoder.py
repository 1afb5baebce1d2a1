"""The sticker model's shipped decoder, distilled from the teacher decoder."""

from __future__ import annotations

from mobigen.data.stickers import StickerBatches
from mobigen.distill.decoder import DecoderDistillation
from mobigen.models.autoencoder import Decoder, Encoder, TeacherDecoder
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.recipes.sticker_autoencoder import PERCEPTUAL_WEIGHT
from mobigen.train.loop import RunSettings

__all__ = ["RECIPE"]


def make_task(workspace: Workspace) -> DecoderDistillation:
    return DecoderDistillation(
        workspace.new(Decoder),
        workspace.trained(Encoder),
        workspace.trained(TeacherDecoder),
        StickerBatches(workspace.stickers, workspace.device),
        workspace.perceptual(),
        PERCEPTUAL_WEIGHT,
    )


RECIPE = Recipe(
    name="sticker-decoder",
    makes="decoder",
    task=make_task,
    settings=RunSettings(
        minutes=4,
        train_batch_size=128,
        learning_rate=1e-3,
        lr_warmup_steps=200,
        ema_decay=0.999,
        mixed_precision="bf16",
    ),
    distils=True,
)
