"""The sticker model's denoiser as it ships: the teacher in 1, 2 or 4 steps, in two recipes run one after the other."""

from __future__ import annotations

import json

from mobigen.distill.steps import DistributionMatching, TrajectoryRegression
from mobigen.models.denoiser import Denoiser
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.loop import RunSettings

__all__ = ["GUIDANCE", "MATCHING", "REGRESSION", "SCHEDULES"]

SCHEDULES = {1: (1.0,), 2: (1.0, 0.5), 4: (1.0, 0.75, 0.5, 0.25)}  # number of steps -> times
GUIDANCE = 3.0  # of the teacher
TRAJECTORIES = 12288


def make_regression(workspace: Workspace) -> TrajectoryRegression:
    """First of the student's two recipes: the ends of the teacher's guided trajectories, from points along them."""
    teacher = workspace.trained(Denoiser, "teacher")
    student = workspace.trained(Denoiser, "teacher")
    count = workspace.counts.get("trajectories", TRAJECTORIES)
    return TrajectoryRegression(student, teacher, workspace.latents(), SCHEDULES[4], GUIDANCE, count)


def make_matching(workspace: Workspace) -> DistributionMatching:
    """Second of the student's two recipes: distribution matching with a discriminator, for 1, 2 and 4 steps at once."""
    teacher, student = workspace.trained(Denoiser, "teacher"), workspace.trained(Denoiser)
    return DistributionMatching(student, teacher, workspace.latents(), list(SCHEDULES.values()), GUIDANCE)


def write_sampler(workspace: Workspace) -> None:
    """Beside the student, its model's pipeline.json as the student draws: few steps, and no guidance but its own."""
    source = workspace.find("pipeline.json")
    if source is None:
        return
    sampler = {"kind": "few_step", "times": {str(steps): times for steps, times in SCHEDULES.items()}}
    pipeline = json.loads(source.read_text()) | {"sampler": sampler, "default_steps": max(SCHEDULES)}
    partial = workspace.out / "pipeline.json.partial"
    partial.write_text(json.dumps(pipeline, indent=2) + "\n")
    partial.replace(workspace.out / "pipeline.json")


REGRESSION = Recipe(
    name="sticker-regression",
    makes="denoiser",
    task=make_regression,
    settings=RunSettings(
        minutes=1, train_batch_size=512, learning_rate=2e-4, lr_warmup_steps=50, ema_decay=0.99, mixed_precision="bf16"
    ),
    distils=True,
)
MATCHING = Recipe(
    name="sticker",
    makes="denoiser",
    task=make_matching,
    settings=RunSettings(
        minutes=5, train_batch_size=256, learning_rate=5e-5, betas=(0.0, 0.95), lr_warmup_steps=50, ema_decay=0.995,
        mixed_precision="bf16",
    ),
    distils=True,
    finish=write_sampler,
)  # fmt: skip
