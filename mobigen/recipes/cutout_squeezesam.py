"""SqueezeSAM on the data of the cutout model, to compare with; the whole network runs for every click."""

from __future__ import annotations

from mobigen.models.squeezesam import SqueezeSAM
from mobigen.recipes.cutout import make_batches
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.loop import RunSettings
from mobigen.train.segment import OnePassSegmenter, SegmentTask

__all__ = ["RECIPE"]


def make_task(workspace: Workspace) -> SegmentTask:
    return SegmentTask(OnePassSegmenter(workspace.new(SqueezeSAM)), make_batches(workspace))


RECIPE = Recipe(
    name="cutout-squeezesam",
    makes="squeezesam",
    model="cutout",
    task=make_task,
    settings=RunSettings(
        minutes=20,
        train_batch_size=16,
        learning_rate=5e-4,
        lr_warmup_steps=200,
        ema_decay=0.998,
        mixed_precision="bf16",
    ),
)
