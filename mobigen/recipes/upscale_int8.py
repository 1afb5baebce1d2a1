"""The x3 upscalers for 8-bit processors, as the Mobile AI challenge asks: bytes in, bytes out, whole numbers between.

Each goes on from its float form, fused first, so that what learns is the very convolutions of the graph. Crops are as
photos are: on those that the float form learns from, the x3 network came out 0.13 dB worse on photos.
"""

from __future__ import annotations

from dataclasses import replace

from mobigen.data.photos import draw_pairs, reduce
from mobigen.models.plain_upscaler import PlainUpscaler
from mobigen.quantization.layers import KINDS
from mobigen.quantization.network import Quantization
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.recipes.upscale import CROP, SETTINGS
from mobigen.train.quantize import QuantizationAware
from mobigen.train.restore import Restoration

__all__ = ["RECIPES"]

FROZEN_AFTER = 3000  # training passes; ranges that still move keep weights from settling


def make_task(workspace: Workspace) -> QuantizationAware:
    """The float network of the same name without -int8, trained on as it will be computed in 8 bits."""
    trained = workspace.trained(PlainUpscaler)
    pairs = draw_pairs(workspace.photos, workspace.counts.get("crop", CROP), trained.scale, reduce)
    settings = Quantization(static=KINDS, delay=100, freeze=FROZEN_AFTER)
    return QuantizationAware(Restoration(trained.fuse(), pairs), ["upscaler"], settings)


RECIPES = tuple(
    Recipe(
        name=f"{model}-int8",
        makes="upscaler",
        task=make_task,
        settings=replace(SETTINGS, minutes=6, learning_rate=1e-4),
        goes_on=True,
        model=model,
    )
    for model in ("upscale-x3", "upscale-x3-fast")
)
