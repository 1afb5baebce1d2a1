"""What a user has -> what a user wants: one pipeline a task, NumPy or Pillow at both ends."""

from os import PathLike

from mobigen.bundle import Bundle
from mobigen.errors import InputError
from mobigen.pipelines.text_to_image import TextToImageOutput, TextToImagePipeline

__all__ = ["PIPELINES", "TextToImageOutput", "TextToImagePipeline", "open_pipeline"]

PIPELINES: dict[str, type[TextToImagePipeline]] = {  # by the task that a bundle states
    "text-to-image": TextToImagePipeline,
}


def open_pipeline(
    bundle: Bundle,
    backend: str = "litert",
    threads: int | None = None,
    weights: str | PathLike[str] | None = None,
) -> TextToImagePipeline:
    """The pipeline of a bundle's task; arguments and errors as of `mobigen.load`."""
    task = bundle.metadata.task
    if task not in PIPELINES:
        raise InputError(
            f"{bundle.folder} holds bare networks, which no pipeline joins; "
            "run them one by one with mobigen.runtime.load_component"
        )
    return PIPELINES[task].from_bundle(bundle, backend, threads, weights)
