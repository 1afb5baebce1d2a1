"""The sticker model's denoiser as it ships: the teacher in 1, 2 or 4 steps, in two recipes run one after the other."""

from __future__ import annotations

import json
from itertools import pairwise

from mobigen.diffusion.flow import shifted_times
from mobigen.distill.steps import DistributionMatching, TrajectoryRegression
from mobigen.models.denoiser import Denoiser
from mobigen.quantization.grid import snap_weights
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.flow import GUIDANCE, SHIFT
from mobigen.train.loop import RunSettings

__all__ = ["MATCHING", "REGRESSION", "SCHEDULES"]

TIMES = shifted_times(4, SHIFT)
SCHEDULES = {steps: TIMES[:: 4 // steps] for steps in (1, 2, 4)}  # number of steps -> times
TRAJECTORIES, KEPT = 18432, 4096  # of the teacher: to learn from, and to be held to


def make_regression(workspace: Workspace) -> TrajectoryRegression:
    """First of the student's two recipes: steps of the teacher's guided trajectories."""
    teacher = workspace.trained(Denoiser, "teacher")
    steps = [step for times in SCHEDULES.values() for step in pairwise(times)]
    student, latents, count = teacher.averaging(), workspace.latents(), _count(workspace, TRAJECTORIES)
    return TrajectoryRegression(student, teacher, latents, steps, GUIDANCE, count, workspace.tell)


def make_matching(workspace: Workspace) -> DistributionMatching:
    """Second of the student's two recipes: distribution matching with a discriminator, for 1, 2 and 4 steps at once."""
    teacher, student, latents = workspace.trained(Denoiser, "teacher"), workspace.trained(Denoiser), workspace.latents()
    steps = [step for step in pairwise(TIMES) if step[1] > 0]
    count = _count(workspace, KEPT)
    kept = TrajectoryRegression(student, teacher, latents, steps, GUIDANCE, count, workspace.tell)
    return DistributionMatching(student, teacher, latents, list(SCHEDULES.values()), GUIDANCE, kept)


def _count(workspace: Workspace, usual: int) -> int:
    """How many trajectories: no more than the run can draw, since each is as dear as some steps of training."""
    count = workspace.counts.get("trajectories", usual)
    return count if workspace.draws is None else min(count, workspace.draws)


def finish_student(workspace: Workspace) -> None:
    """Rounds the student's weights as its 8-bit graph holds them, and writes how it draws."""
    student = workspace.trained(Denoiser)
    snap_weights(student)
    student.save_component(workspace.out)
    _write_sampler(workspace)


def _write_sampler(workspace: Workspace) -> None:
    """Beside the student, its model's pipeline.json as the student draws: few steps, and no guidance but its own."""
    source = workspace.find("pipeline.json")
    if source is None:
        return
    sampler = {"kind": "euler", "times": {str(steps): times for steps, times in SCHEDULES.items()}}
    pipeline = json.loads(source.read_text()) | {"sampler": sampler, "default_steps": max(SCHEDULES)}
    partial = workspace.out / "pipeline.json.partial"
    partial.write_text(json.dumps(pipeline, indent=2) + "\n")
    partial.replace(workspace.out / "pipeline.json")


REGRESSION = Recipe(
    name="sticker-regression",
    makes="denoiser",
    task=make_regression,
    settings=RunSettings(
        minutes=2, train_batch_size=512, learning_rate=6e-4, optimizer="muon", lr_warmup_steps=50, ema_decay=0.99,
        mixed_precision="bf16",
    ),
    distils=True,
    goes_on=True,
    finish=finish_student,
)  # fmt: skip
MATCHING = Recipe(
    name="sticker",
    makes="denoiser",
    task=make_matching,
    settings=RunSettings(
        minutes=5, train_batch_size=256, learning_rate=1e-4, betas=(0.0, 0.95), lr_warmup_steps=50, ema_decay=0.995,
        mixed_precision="bf16",
    ),
    distils=True,
    goes_on=True,
    finish=finish_student,
)  # fmt: skip
