"""The cutout model: image encoder and click decoder, together, on photos with label maps and what is laid over them."""

from __future__ import annotations

import torch

from mobigen.data.scenes import SceneBatches
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.loop import RunSettings
from mobigen.train.pretrained import load_mobilenet_v2
from mobigen.train.segment import Segmenter, SegmentTask

__all__ = ["RECIPE", "make_batches"]

MEASURED = (4, 16)  # batches, and pictures in each, that give the trunk's batch norms their statistics


def make_batches(workspace: Workspace) -> SceneBatches:
    """Scenes of the masks that are not held out."""
    kept, _ = workspace.masks.split()
    return SceneBatches(kept, workspace.overlays, workspace.device)


def make_task(workspace: Workspace) -> SegmentTask:
    encoder = workspace.new(ImageEncoder, stand_in="sam_encoder")
    decoder = workspace.new(ClickDecoder, stand_in="sam_decoder")
    batches = make_batches(workspace)
    if workspace.init is None:
        _begin_with_features(encoder, workspace, batches)
    return SegmentTask(Segmenter(encoder, decoder), batches)


def _begin_with_features(encoder: ImageEncoder, workspace: Workspace, batches: SceneBatches) -> None:
    """Gives a new encoder's trunk ImageNet's features, if the data folder has them."""
    features = workspace.data / "imagenet" / "mobilenet_v2.safetensors"
    if features.is_file():
        encoder.to(workspace.device)
        generator = torch.Generator(workspace.device).manual_seed(0)
        pictures = (batches.draw(MEASURED[1], generator).image for _ in range(MEASURED[0]))
        load_mobilenet_v2(encoder, features, pictures)


RECIPE = Recipe(
    name="cutout",
    makes="image_encoder",
    model="cutout",
    task=make_task,
    settings=RunSettings(
        minutes=8,
        train_batch_size=32,
        learning_rate=6e-4,  # also for going on from the shipped weights
        lr_warmup_steps=150,
        weight_decay=0.02,
        ema_decay=0.998,
        mixed_precision="bf16",
    ),
)
