"""Real inputs: what each component receives while its networks make something from a few requests.

Parity on random numbers says little, since the states of words and half-denoised latents are nothing like
normal noise. Here the networks run as in their pipeline, and what reaches each of them is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from mobigen.errors import ExportError
from mobigen.metadata import TextToImageSettings
from mobigen.runtime import Component
from mobigen.sampling import SAMPLERS, conditioned, noise_source
from mobigen.signature import Signature

__all__ = ["CALIBRATION_PROMPTS", "PARITY_PROMPTS", "Arrays", "check_fit", "record_inputs"]

Arrays = dict[str, np.ndarray]
Recorder = Callable[..., Arrays]

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


def check_fit(settings: TextToImageSettings, signatures: Mapping[str, Signature], tokenizer: Path) -> None:
    """The constants of a text-to-image pipeline must be those of its networks.

    Raises:
        ExportError: a shape differs from the settings, or the tokenizer has more entries than the network.
    """
    size = settings.image_size
    stated = {
        ("text_encoder", "token_ids"): (1, settings.max_tokens),
        ("denoiser", "style"): (1, len(settings.styles)),
        ("decoder", "image"): (1, 4, size, size),
    }
    for (component, name), shape in stated.items():
        specs = (*signatures[component].inputs, *signatures[component].outputs)
        found = next((spec.shape for spec in specs if spec.name == name), None)
        if found != shape:
            raise ExportError(f"pipeline.json means {name} of {component} to be {shape}, the network has {found}")
    words = _open_tokenizer(tokenizer).get_vocab_size()
    highest = signatures["text_encoder"].inputs[0].high
    if highest is not None and words > highest + 1:
        raise ExportError(f"{tokenizer} has {words} entries, the text encoder knows {highest + 1:.0f}; they do not fit")


def record_inputs(
    networks: Mapping[str, Component], settings: TextToImageSettings, tokenizer: Path, prompts: Sequence[str]
) -> dict[str, list[Arrays]]:
    """The inputs of every component of a text-to-image model, in the order of its calls.

    Prompt i is drawn in style i (they come round again) from seed i with the default number of steps.
    """
    seen: dict[str, list[Arrays]] = {name: [] for name in networks}

    def run(component: str, **inputs: np.ndarray) -> Arrays:
        seen[component].append(inputs)
        return networks[component](**inputs)

    words = _open_tokenizer(tokenizer)
    for index, prompt in enumerate(prompts):
        ids = np.zeros((1, settings.max_tokens), np.int32)
        known = words.encode(prompt, add_special_tokens=False).ids[: settings.max_tokens]
        ids[0, : len(known)] = known
        style = np.eye(len(settings.styles), dtype=np.float32)[None, index % len(settings.styles)]
        condition = run("text_encoder", token_ids=ids) | {"style": style}
        run("decoder", latent=_sample(run, networks["denoiser"].signature, settings, condition, seed=index))
    return seen


def _open_tokenizer(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise ExportError(f"{path} is not a tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _sample(
    run: Recorder, signature: Signature, settings: TextToImageSettings, condition: Arrays, seed: int
) -> np.ndarray:
    """The finished latent of one request."""
    shape = next(spec.shape for spec in signature.inputs if spec.name == "latent")
    noise = noise_source(shape, seed)
    plan = settings.sampler
    times = plan.times[settings.default_steps]

    def velocity(latent: np.ndarray, **inputs: np.ndarray) -> np.ndarray:
        return run("denoiser", latent=latent.astype(np.float32), **inputs)["velocity"]

    denoise = conditioned(velocity, condition, plan.guidance)
    *_, last = SAMPLERS[plan.kind](denoise, times, noise)
    return last.latent.astype(np.float32)
