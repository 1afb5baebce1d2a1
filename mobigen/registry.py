"""Every model mobigen ships, one literal line a model, and where their weights lie."""

import os
from dataclasses import dataclass
from pathlib import Path

from mobigen.errors import InputError, WeightsError

__all__ = ["MODELS", "Model", "find_model", "model_folders", "weights_folder"]


@dataclass(frozen=True)
class Model:
    """A shipped model. `name` is the same string in weights/, export/, recipes, cards and commands."""

    name: str
    task: str
    summary: str


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model("sticker", "text-to-image", "256x256 stickers on a transparent ground from English words"),
        Model("upscale-x2", "upscale", "pictures twice as large a side"),
        Model("upscale-x2-fast", "upscale", "the same a little sooner, with the colours of bicubic"),
        Model("sesr-m5-x2", "upscale", "SESR-M5 of its paper, trained on our photos, to compare with"),
        Model("upscale-x3", "upscale", "pictures three times as large a side"),
        Model("upscale-x3-fast", "upscale", "the same in a quarter of the work"),
        Model("upscale-x3-int8", "upscale", "upscale-x3 with bytes in, bytes out and 8-bit arithmetic between"),
        Model("upscale-x3-fast-int8", "upscale", "upscale-x3-fast likewise"),
        Model("upscale-x4", "upscale", "pictures four times as large a side"),
        Model("upscale-x4-fast", "upscale", "the same in a fifth of the work"),
        Model("upscale-x4-photo", "upscale", "blurred, noisy or compressed photos four times as large a side"),
        Model("cutout", "cutout", "objects cut out of photos, by a few clicks or none"),
    )
}


def find_model(name: str) -> Model:
    """The model of that name. Raises InputError that lists the known names."""
    if name not in MODELS:
        raise InputError(f"there is no model named {name!r}; the models are: {', '.join(MODELS)}")
    return MODELS[name]


def model_folders(model: str = "") -> list[Path]:
    """Where the weights of a model, or of all, may be: below $MOBIGEN_WEIGHTS, then in the checkout."""
    chosen = os.environ.get("MOBIGEN_WEIGHTS")
    checkout = Path(__file__).resolve().parents[1] / "weights"
    return [place / model for place in (*([Path(chosen)] if chosen else []), checkout)]


def weights_folder(model: str = "") -> Path:
    """The first of `model_folders` that is there. Raises WeightsError."""
    places = model_folders(model)
    for place in places:
        if place.is_dir():
            return place
    raise WeightsError(f"no weights at {', '.join(map(str, places))}; set MOBIGEN_WEIGHTS, or give their folder")
