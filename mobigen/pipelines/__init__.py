"""What a user has -> what a user wants: one pipeline a task, NumPy or Pillow at both ends."""

from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

from mobigen.bundle import Bundle
from mobigen.errors import InputError

if TYPE_CHECKING:
    from mobigen.pipelines.cutout import CutoutPredictor
    from mobigen.pipelines.text_to_image import TextToImageOutput, TextToImagePipeline
    from mobigen.pipelines.upscale import UpscaleOutput, UpscalePipeline

__all__ = [
    "PIPELINES",
    "CutoutPredictor",
    "TextToImageOutput",
    "TextToImagePipeline",
    "UpscaleOutput",
    "UpscalePipeline",
    "open_pipeline",
]

PIPELINES: dict[str, str] = {  # the task that a bundle states -> module and class, imported when asked for
    "text-to-image": "mobigen.pipelines.text_to_image.TextToImagePipeline",
    "cutout": "mobigen.pipelines.cutout.CutoutPredictor",
    "upscale": "mobigen.pipelines.upscale.UpscalePipeline",
}
PLACES = {  # of the other names that are taken from here
    "TextToImageOutput": "mobigen.pipelines.text_to_image.TextToImageOutput",
    "UpscaleOutput": "mobigen.pipelines.upscale.UpscaleOutput",
}


def open_pipeline(
    bundle: Bundle,
    backend: str = "litert",
    threads: int | None = None,
    weights: str | PathLike[str] | None = None,
    **options: Any,
) -> Any:
    """The pipeline of a bundle's task; arguments and errors as of `mobigen.load`."""
    task = bundle.metadata.task
    if task not in PIPELINES:
        raise InputError(
            f"{bundle.folder} holds bare networks, which no pipeline joins; "
            "run them one by one with mobigen.runtime.load_component"
        )
    return _found(PIPELINES[task]).from_bundle(bundle, backend, threads, weights, **options)


def _found(place: str) -> Any:
    module, _, name = place.rpartition(".")
    return getattr(import_module(module), name)


def __getattr__(name: str) -> Any:
    """The classes of this room, which a user may import from here: none drags in another's packages."""
    for place in (*PIPELINES.values(), *PLACES.values()):
        if place.endswith(f".{name}"):
            return _found(place)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
