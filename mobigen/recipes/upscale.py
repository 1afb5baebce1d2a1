"""Super-resolution, a recipe a network: our own at three scales and two sizes, and those of the papers to compare with.

All learn from bicubic reductions of the same photos; one folder takes one model, whose component is `upscaler`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from mobigen.data.photos import VariedCrops, draw_pairs, reduce, with_margin
from mobigen.models.abpn import ABPN
from mobigen.models.plain_upscaler import PlainUpscaler
from mobigen.models.sesr import SESR, SIZES
from mobigen.models.syenet import SYENet
from mobigen.models.upscaler import Upscaler
from mobigen.models.xlsr import XLSR
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.loop import RunSettings
from mobigen.train.restore import Restoration

__all__ = ["CROP", "PLANS", "RECIPES", "Plan"]

CROP = 64  # pixels a side of the small pictures: more than twice what a network looks at, so that few see a border


class Plan(NamedTuple):
    """What is trained, with its config, and how, for how long on a GPU."""

    kind: type[Upscaler]
    config: Mapping[str, Any]
    minutes: float
    learning_rate: float = 2e-3


PLANS: dict[str, Plan] = {
    "upscale-x2": Plan(PlainUpscaler, {"scale": 2, "width": 32, "depth": 8}, 24),
    "upscale-x2-fast": Plan(PlainUpscaler, {"scale": 2, "width": 16, "depth": 10, "channels": 1}, 24),
    "upscale-x3": Plan(PlainUpscaler, {"scale": 3, "width": 32, "depth": 8}, 12),
    "upscale-x3-fast": Plan(PlainUpscaler, {"scale": 3, "width": 16, "depth": 6}, 8),
    "upscale-x4": Plan(PlainUpscaler, {"scale": 4, "width": 64, "depth": 10}, 24),
    "upscale-x4-fast": Plan(PlainUpscaler, {"scale": 4, "width": 32, "depth": 6}, 8),
    **{f"sesr-{name.lower()}-x2": Plan(SESR, {"scale": 2, **SIZES[name]._asdict()}, 24, 3e-3) for name in SIZES},
    "xlsr-x3": Plan(XLSR, {"scale": 3}, 10),
    "abpn-x3": Plan(ABPN, {"scale": 3}, 10, 1e-3),
    "syenet-x2": Plan(SYENet, {"scale": 2}, 10, 5e-4),
}
SETTINGS = RunSettings(
    minutes=10,
    train_batch_size=32,
    learning_rate=5e-4,
    lr_warmup_steps=500,
    weight_decay=0.0,
    betas=(0.9, 0.99),
    ema_decay=0.9995,
)  # in float32: bfloat16 rounds to steps of 1/256, which is what a network this good still has to correct


def make_task(plan: Plan) -> Callable[[Workspace], Restoration]:
    """The task of a recipe."""
    scale = plan.config["scale"]

    def task(workspace: Workspace) -> Restoration:
        upscaler = workspace.new(plan.kind, config=plan.config)
        size = workspace.counts.get("crop", CROP)
        crops = VariedCrops(workspace.photos, workspace.small_photos(with_margin(size, scale)))
        return Restoration(upscaler, draw_pairs(crops, size, scale, reduce))

    task.__doc__ = f"{plan.kind.__name__} for x{scale}, on bicubic reductions."
    return task


RECIPES = tuple(
    Recipe(
        name,
        "upscaler",
        make_task(plan),
        replace(SETTINGS, minutes=plan.minutes, learning_rate=plan.learning_rate, optimizer="muon"),
        model=name,
    )
    for name, plan in PLANS.items()
)
