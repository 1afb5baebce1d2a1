"""The judge of stickers: a dual encoder trained on nine tenths of the real ones; `mobigen evaluate` checks the rest."""

from __future__ import annotations

import torch

from mobigen.data.latents import encode_captions
from mobigen.data.stickers import StickerBatches
from mobigen.models.dual_encoder import DualEncoder
from mobigen.models.text_encoder import TextEncoder
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.contrastive import ContrastiveTask
from mobigen.train.loop import RunSettings

__all__ = ["RECIPE"]


def make_task(workspace: Workspace) -> ContrastiveTask:
    judge, text_encoder = workspace.new(DualEncoder), workspace.trained(TextEncoder)
    seen, _ = workspace.originals.held_out()
    table = encode_captions(seen, text_encoder, workspace.tokenizer, workspace.device)
    numbers = {name: number for number, name in enumerate(sorted({sticker.name for sticker in seen.stickers}))}
    names = torch.tensor([numbers[sticker.name] for sticker in seen.stickers], device=workspace.device)
    return ContrastiveTask(judge, StickerBatches(seen, workspace.device), table, names)


RECIPE = Recipe(
    name="sticker-dual-encoder",
    makes="dual_encoder",
    task=make_task,
    settings=RunSettings(
        minutes=2, train_batch_size=512, learning_rate=1e-3, weight_decay=0.1, ema_decay=0.998, mixed_precision="bf16"
    ),
)
