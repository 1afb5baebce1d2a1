"""Text to image: words in, RGBA pictures with a transparent background out."""

import secrets
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from mobigen import __version__
from mobigen.bundle import Bundle
from mobigen.errors import BundleError, InputError, MobigenWarning
from mobigen.pipelines.prompt import check_prompt
from mobigen.runtime import Component, load_component
from mobigen.sampling import Step, conditioned, euler, seeded_noise
from mobigen.settings import TextToImageSettings
from mobigen.signature import Signature, TensorSpec

__all__ = ["Picture", "TextToImageOutput", "TextToImagePipeline"]

HIGHEST_SEED = 2**32 - 1
TENSORS = {  # what each component must take and give
    "text_encoder": (("token_ids",), ("text_states", "text_mask")),
    "denoiser": (("latent", "time", "text_states", "text_mask", "style"), ("velocity",)),
    "decoder": (("latent",), ("image",)),
}
FADE = 16  # levels of alpha below which colour fades; on any ground that changes a pixel by four levels at most
UNTIL = "until"  # what a denoiser takes besides if it averages over steps

OUTPUT_TYPES = ("pil", "np")

StepCallback = Callable[["TextToImagePipeline", int, float, dict[str, Any]], dict[str, Any] | None]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Picture:
    """One finished picture and what makes it again."""

    pixels: np.ndarray  # uint8 (H, W, 4) in RGBA order
    parameters: dict[str, str | int]  # prompt, style, seed, steps, model, version

    @property
    def image(self) -> Image.Image:
        """The picture as a PIL image in mode RGBA."""
        return Image.fromarray(self.pixels)


@dataclass(frozen=True)
class TextToImageOutput:
    """The pictures, prompt by prompt, with the seed and the other parameters that make each again."""

    images: list[Any]  # PIL images in mode RGBA, or uint8 arrays (H, W, 4) in RGBA order
    seeds: list[int]
    parameters: list[dict[str, str | int]]  # as `mobigen.media.save_image` takes them


@dataclass(frozen=True)
class _Request:
    """The arguments of a call, checked, with the defaults filled in."""

    prompts: list[str]
    style: str
    steps: int
    seed: int | None
    count: int  # pictures for each prompt


class TextToImagePipeline:
    """Makes pictures from English prompts with the components of a bundle."""

    def __init__(
        self,
        settings: TextToImageSettings,
        components: Mapping[str, Component],
        files: Mapping[str, Path],
        model: str,
        version: str = __version__,
    ) -> None:
        """Join the components of a model; `from_bundle` opens those of a bundle.

        Args:
            settings: the constants that the networks were made for.
            components: text_encoder, denoiser and decoder, on any backend.
            files: "tokenizer" -> a file of the tokenizers library.
            model, version: what a picture's parameters are to say.

        Raises:
            BundleError: a component does not fit the task, or the tokenizer cannot be read.
        """
        _check_tensors({name: components[name].signature for name in TENSORS})
        self.model, self.version = model, version
        self._settings = settings
        self._components = components
        self._tokenizer = _open_tokenizer(files["tokenizer"])
        self._latent_shape = components["decoder"].signature.inputs[0].shape
        self._averages = UNTIL in _names(components["denoiser"].signature.inputs)
        self._interrupted = False

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        backend: str = "litert",
        threads: int | None = None,
        weights: str | PathLike[str] | None = None,
    ) -> "TextToImagePipeline":
        """Open the networks of a bundle.

        Args:
            bundle: a bundle whose task is text-to-image.
            backend: "litert", "torch" or "coreml".
            threads: CPU threads of the backend; None leaves the choice to it.
            weights: the model's weights folder, for "torch" only; None looks in the usual places.

        Raises:
            BundleError: a file of the bundle is damaged, or a component does not fit the task.
            InputError, WeightsError, MissingExtraError: as `mobigen.load`.
        """
        metadata = bundle.metadata
        _check_tensors({name: bundle.signature(name) for name in TENSORS})  # before a graph is opened
        components = {name: load_component(bundle, name, backend, threads, weights) for name in TENSORS}
        return cls(metadata.settings, components, bundle.files(), metadata.name, metadata.version)

    @property
    def styles(self) -> tuple[str, ...]:
        """The accepted values of `style`."""
        return self._settings.styles

    @property
    def steps(self) -> tuple[int, ...]:
        """The accepted values of `num_inference_steps`."""
        return tuple(self._settings.sampler.times)

    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        style: str | None = None,
        num_inference_steps: int | None = None,
        seed: int | None = None,
        num_images_per_prompt: int = 1,
        output_type: str = "pil",
        callback_on_step_end: StepCallback | None = None,
    ) -> TextToImageOutput:
        """Make pictures.

        Args:
            prompt: English words, at most 300 characters, or several such prompts.
            style: one of `styles`; None takes the bundle's default.
            num_inference_steps: one of `steps`; None takes the bundle's default.
            seed: 0 to 2**32 - 1; picture i of every prompt uses seed + i. None draws one for each prompt.
            num_images_per_prompt: 1 or more.
            output_type: "pil" for images in mode RGBA, "np" for uint8 arrays (H, W, 4) in RGBA order.
            callback_on_step_end: called as (pipeline, step, time, kwargs) after each step of each picture;
                kwargs has "latents" (float32, unit variance), "preview" (a function that gives the picture as
                seen from this step) and "image_index". It may return {"latents": array} to go on from that
                array, and may call `pipeline.interrupt()`.

        Returns:
            The pictures and what makes them again; after `interrupt()`, those that were finished.

        Raises:
            InputError: an argument is not accepted; nothing was made.
        """
        if output_type not in OUTPUT_TYPES:
            raise InputError(f"output_type is {output_type!r}; accepted: {', '.join(OUTPUT_TYPES)}")
        pictures = list(
            self.stream(
                prompt,
                style=style,
                num_inference_steps=num_inference_steps,
                seed=seed,
                num_images_per_prompt=num_images_per_prompt,
                callback_on_step_end=callback_on_step_end,
            )
        )
        return TextToImageOutput(
            images=[each.image if output_type == "pil" else each.pixels for each in pictures],
            seeds=[int(each.parameters["seed"]) for each in pictures],
            parameters=[each.parameters for each in pictures],
        )

    def stream(
        self,
        prompt: str | Sequence[str],
        *,
        style: str | None = None,
        num_inference_steps: int | None = None,
        seed: int | None = None,
        num_images_per_prompt: int = 1,
        callback_on_step_end: StepCallback | None = None,
    ) -> Iterator[Picture]:
        """Make pictures one by one, each handed over as soon as it is finished; arguments as in a call.

        Raises:
            InputError: an argument is not accepted; raised at once, before the first picture is asked for.
        """
        _check_count(num_images_per_prompt)
        _check_seed(seed, num_images_per_prompt)
        request = _Request(
            prompts=[check_prompt(each) for each in _as_prompts(prompt)],
            style=self._check_style(style),
            steps=self._check_steps(num_inference_steps),
            seed=None if seed is None else int(seed),
            count=num_images_per_prompt,
        )
        return self._make(request, callback_on_step_end)

    def interrupt(self) -> None:
        """Stop the call in progress after its present step. For callbacks and other threads."""
        self._interrupted = True

    # --- arguments ------------------------------------------------------------------------------------------

    def _check_style(self, style: str | None) -> str:
        chosen = self._settings.default_style if style is None else style
        if chosen not in self.styles:
            raise InputError(f"there is no style {chosen!r}; accepted: {', '.join(self.styles)}")
        return chosen

    def _check_steps(self, steps: int | None) -> int:
        chosen = self._settings.default_steps if steps is None else steps
        if not _is_integer(chosen) or chosen not in self.steps:
            raise InputError(f"{chosen!r} steps are not offered; accepted: {', '.join(map(str, self.steps))}")
        return int(chosen)

    # --- pictures -------------------------------------------------------------------------------------------

    def _make(self, request: _Request, callback: StepCallback | None) -> Iterator[Picture]:
        self._interrupted = False
        style = np.array([[name == request.style for name in self.styles]], np.float32)
        times = self._settings.sampler.times[request.steps]
        made = 0
        for prompt in request.prompts:
            condition = self._encode(prompt) | {"style": style}
            first = _random_seed(request.count) if request.seed is None else request.seed
            for seed in range(first, first + request.count):
                latent = self._sample(condition, times, seed, made, callback)
                if self._interrupted:
                    return
                yield Picture(self._decode(latent), self._parameters(prompt, seed, request))
                made += 1

    def _parameters(self, prompt: str, seed: int, request: _Request) -> dict[str, str | int]:
        return {
            "prompt": prompt,
            "style": request.style,
            "steps": request.steps,
            "seed": seed,
            "model": self.model,
            "version": self.version,
        }

    def _encode(self, prompt: str) -> Arrays:
        """text_states (1, T, C) and text_mask (1, T) of a prompt."""
        ids = self._tokenizer.encode(prompt, add_special_tokens=False).ids
        longest = self._settings.max_tokens
        if len(ids) > longest:
            read = self._tokenizer.decode(ids[:longest])
            message = f"the prompt's end was cut; the {longest} word pieces that are read: {read}"
            warnings.warn(message, MobigenWarning, stacklevel=3)
        padded = np.zeros((1, longest), np.int32)
        padded[0, : len(ids)] = ids[:longest]
        return self._components["text_encoder"](token_ids=padded)

    def _sample(
        self,
        condition: Arrays,
        times: Sequence[float],
        seed: int,
        image_index: int,
        callback: StepCallback | None,
    ) -> np.ndarray:
        """The latent of one picture."""
        noise = seeded_noise(self._latent_shape, seed)
        denoise = conditioned(self._velocity, condition, self._settings.sampler.guidance, self._averages)
        for step in euler(denoise, noise, times):
            if callback is not None:
                self._report(callback, step, image_index)
            if self._interrupted:
                break
        return step.latent

    def _velocity(self, **inputs: np.ndarray) -> np.ndarray:
        return self._components["denoiser"](**inputs)["velocity"]

    def _report(self, callback: StepCallback, step: Step, image_index: int) -> None:
        """Call back, and take over the latents that come back."""

        def preview() -> Image.Image:
            return Image.fromarray(self._decode(step.estimate))

        shown = {"latents": step.latent, "preview": preview, "image_index": image_index}
        returned = callback(self, step.index, step.time, shown) or {}
        latent = np.asarray(returned.get("latents", step.latent), np.float32)
        if latent.shape != self._latent_shape:
            raise InputError(f"the callback's latents are {latent.shape}; accepted: {self._latent_shape}")
        step.latent = latent

    def _decode(self, latent: np.ndarray) -> np.ndarray:
        """Latent (1, C, h, w) -> uint8 RGBA (H, W, 4)."""
        image = self._components["decoder"](latent=latent)["image"][0]
        return _to_pixels((image.clip(-1, 1) + 1) / 2)


def _to_pixels(planes: np.ndarray) -> np.ndarray:
    """Straight RGBA (4, H, W) in [0, 1] -> uint8 (H, W, 4), with nothing hidden behind full transparency.

    Colour fades to black with the last of alpha instead of vanishing at once: a level of alpha more or less, which
    another backend may give, then changes it little.
    """
    alpha = np.rint(planes[3:] * 255)
    colour = np.rint(planes[:3] * np.minimum(alpha / FADE, 1) * 255)
    return np.concatenate([colour, alpha]).astype(np.uint8).transpose(1, 2, 0)


def _as_prompts(prompt: str | Sequence[str]) -> list[str]:
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    if not prompts:
        raise InputError("there are no prompts; give at least one")
    return prompts


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _check_count(count: int) -> None:
    if not _is_integer(count) or not 1 <= count <= HIGHEST_SEED:
        raise InputError(f"num_images_per_prompt is {count!r}; accepted: 1 or more")


def _check_seed(seed: int | None, count: int) -> None:
    """Every picture's seed, the last one's too, must be a 32-bit number."""
    if seed is not None and not (_is_integer(seed) and 0 <= seed <= HIGHEST_SEED + 1 - count):
        raise InputError(f"the seed is {seed!r}; accepted: 0 to {HIGHEST_SEED + 1 - count}")


def _random_seed(count: int) -> int:
    """A seed that nobody chose, with room for `count` seeds from it on."""
    return secrets.randbelow(HIGHEST_SEED + 2 - count)


def _check_tensors(signatures: Mapping[str, Signature]) -> None:
    for name, (inputs, outputs) in TENSORS.items():
        found = _names(signatures[name].inputs), _names(signatures[name].outputs)
        averages = name == "denoiser" and found[0][-1:] == (UNTIL,)
        if found != ((*inputs, UNTIL) if averages else inputs, outputs):
            raise BundleError(f"{name} is {found}, a text-to-image pipeline needs {(inputs, outputs)}")


def _names(specs: Sequence[TensorSpec]) -> tuple[str, ...]:
    return tuple(spec.name for spec in specs)


def _open_tokenizer(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises bare exceptions
        raise BundleError(f"{path} is not a tokenizer: {error}") from error
    tokenizer.no_padding()  # the pipeline pads and cuts itself, to say so when words are lost
    tokenizer.no_truncation()
    return tokenizer
