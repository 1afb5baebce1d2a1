"""Recipes, one file a trained model: data, network, task and run, with its cost and its result."""

from mobigen.recipes import (
    cutout,
    cutout_sam,
    cutout_squeezesam,
    sticker,
    sticker_autoencoder,
    sticker_decoder,
    sticker_dual_encoder,
    sticker_teacher,
    sticker_text_encoder,
    upscale,
    upscale_int8,
    upscale_photo,
)
from mobigen.recipes.recipe import Recipe, Workspace

__all__ = ["RECIPES", "Recipe", "Workspace"]

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        sticker_text_encoder.RECIPE,
        sticker_autoencoder.RECIPE,
        sticker_decoder.RECIPE,
        sticker_teacher.RECIPE,
        sticker.REGRESSION,
        sticker.MATCHING,
        sticker_dual_encoder.RECIPE,
        cutout_sam.ENCODER,
        cutout_sam.DECODER,
        cutout.RECIPE,
        cutout_squeezesam.RECIPE,
        *upscale.RECIPES,
        *upscale_int8.RECIPES,
        upscale_photo.PIXELS,
        upscale_photo.PHOTO,
    )
}
