"""The sticker model's teacher: flow matching with classifier-free dropout, sampled with guidance in 20 steps."""

from __future__ import annotations

from mobigen.models.denoiser import Denoiser
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.flow import FlowMatching
from mobigen.train.loop import RunSettings

__all__ = ["RECIPE"]


def make_task(workspace: Workspace) -> FlowMatching:
    teacher = workspace.new(Denoiser, RECIPE.makes, stand_in=Denoiser.component)  # a student is a start, too
    return FlowMatching(teacher, workspace.latents(), RECIPE.makes)


RECIPE = Recipe(
    name="sticker-teacher",
    makes="teacher",
    task=make_task,
    settings=RunSettings(
        minutes=13, train_batch_size=512, learning_rate=1.2e-3, optimizer="muon", lr_warmup_steps=100,
        weight_decay=0.02, ema_decay=0.998, mixed_precision="bf16",
    ),
)  # fmt: skip
