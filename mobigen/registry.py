"""Every model mobigen ships, one literal line a model."""

from dataclasses import dataclass

from mobigen.errors import InputError

__all__ = ["MODELS", "Model", "find_model"]


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
        Model("cutout", "cutout", "objects cut out of photos, by a few clicks or none"),
    )
}


def find_model(name: str) -> Model:
    """The model of that name. Raises InputError that lists the known names."""
    if name not in MODELS:
        raise InputError(f"there is no model named {name!r}; the models are: {', '.join(MODELS)}")
    return MODELS[name]
