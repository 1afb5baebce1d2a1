"""Text to image: prompts in turn through the styles, the latents of every step, and the picture as it is seen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from mobigen.errors import ExportError, MobigenWarning
from mobigen.export.source import Source
from mobigen.export.tasks.trail import Requests, Trail
from mobigen.pipelines.text_to_image import TextToImagePipeline
from mobigen.runtime import Component
from mobigen.settings import TOKENIZER

__all__ = ["CALIBRATION_PROMPTS", "PARITY_PROMPTS", "RESULT_FLOOR", "check", "requests", "run"]

PARITY_PROMPTS = (
    "a red apple",
    "a sleepy fox wearing a blue scarf",
    "grinning face with sunglasses",
    "an old wooden sailing ship on a stormy sea under a very large yellow moon",
)
CALIBRATION_PROMPTS = (  # none of the above: a range must not be fitted to what it is judged on
    "a purple cat",
    "slice of birthday cake",
    "green racing car",
    "thumbs up",
    "a house in the snow at night",
    "a happy dog",
    "orange flower",
    "a soccer ball",
)
RESULT_FLOOR = 35.0  # each graph may pass its own floor while their errors add up over the steps


def check(source: Source) -> None:
    """The constants of the pipeline must be those of its networks.

    Raises:
        ExportError: a shape differs from the settings, or the tokenizer has more entries than the network.
    """
    settings, size = source.settings, source.settings.image_size
    stated = {
        ("text_encoder", "token_ids"): (1, settings.max_tokens),
        ("denoiser", "style"): (1, len(settings.styles)),
        ("decoder", "image"): (1, 4, size, size),
    }
    signatures = source.signatures()
    for (component, name), shape in stated.items():
        if component not in signatures:
            raise ExportError(f"{source.name} lacks its {component}, which a text-to-image model needs")
        specs = (*signatures[component].inputs, *signatures[component].outputs)
        found = next((spec.shape for spec in specs if spec.name == name), None)
        if found != shape:
            raise ExportError(f"pipeline.json means {name} of {component} to be {shape}, the network has {found}")
    _check_tokenizer(source, signatures["text_encoder"].inputs[0].high)


def _check_tokenizer(source: Source, highest: float | None) -> None:
    path = source.files[TOKENIZER]
    try:
        words = Tokenizer.from_file(str(path)).get_vocab_size()
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise ExportError(f"{path} is not a tokenizer: {error}") from error
    if highest is not None and words > highest + 1:
        raise ExportError(f"{path} has {words} entries, the text encoder knows {highest + 1:.0f}; they do not fit")


def requests(source: Source) -> Requests:
    """Prompts."""
    return Requests(PARITY_PROMPTS, CALIBRATION_PROMPTS)


def run(source: Source, components: Mapping[str, Component], requests: Sequence[str]) -> Iterator[Trail]:
    """Prompt i is drawn in style i (they come round again) from seed i with the default number of steps."""
    pipeline = TextToImagePipeline(source.settings, components, source.files, source.name)
    for index, prompt in enumerate(requests):
        style = pipeline.styles[index % len(pipeline.styles)]
        yield _draw(pipeline, prompt, style, seed=index)


def _draw(pipeline: TextToImagePipeline, prompt: str, style: str, seed: int) -> Trail:
    steps: list[np.ndarray] = []

    def keep(pipeline: TextToImagePipeline, step: int, time: float, state: dict[str, Any]) -> None:
        steps.append(state["latents"].copy())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MobigenWarning)  # that a long prompt is cut
        output = pipeline(prompt, style=style, seed=seed, output_type="np", callback_on_step_end=keep)
    return Trail(tuple(steps), _visible(output.images[0]))


def _visible(pixels: np.ndarray) -> np.ndarray:
    """uint8 RGBA (H, W, 4) -> colour times alpha, and alpha, in [0, 1]: what is seen on any ground."""
    unit = pixels.astype(np.float32) / 255
    return np.concatenate([unit[..., :3] * unit[..., 3:], unit[..., 3:]], axis=-1)
