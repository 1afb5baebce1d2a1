"""What the pipeline of each task has to know beside its graphs: one frozen record and one reader a task."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

from mobigen.record import Record

__all__ = [
    "SETTINGS",
    "TOKENIZER",
    "UPSCALES",
    "CutoutSettings",
    "NetworksSettings",
    "SamplerPlan",
    "Settings",
    "TextToImageSettings",
    "UpscaleSettings",
]

UPSCALES = (2, 3, 4)
SAMPLER = "euler"  # a bundle names the sampler, so that an app refuses one that it does not have
TOKENIZER = "tokenizer"  # the name of a text model's tokenizer among the files of its bundle


@dataclass(frozen=True)
class SamplerPlan:
    """How the sampler, `mobigen.sampling.euler`, walks: for each number of steps on offer, its times."""

    times: Mapping[int, tuple[float, ...]]
    guidance: float | None = None  # classifier-free, at every step; None if it is folded in or not wanted


@dataclass(frozen=True)
class TextToImageSettings:
    """What a text-to-image pipeline has to know."""

    sampler: SamplerPlan
    styles: tuple[str, ...]  # in the order of the one-hot style input
    default_style: str
    default_steps: int
    max_tokens: int
    image_size: int  # pixels, square


@dataclass(frozen=True)
class CutoutSettings:
    """What a cutout pipeline has to know."""

    image_size: int  # pixels a side of the encoder's square; masks have half as many
    max_points: int  # clicks, points of strokes and corners of a box


@dataclass(frozen=True)
class UpscaleSettings:
    """What an upscale pipeline has to know."""

    scale: int
    overlap: int  # pixels around a tile that its results depend on, or that are to be left to its neighbours


@dataclass(frozen=True)
class NetworksSettings:
    """Of bare networks, which no pipeline joins: nothing."""


Settings = TextToImageSettings | CutoutSettings | UpscaleSettings | NetworksSettings


def _read_networks(pipeline: Record, files: Collection[str]) -> NetworksSettings:
    return NetworksSettings()


def _read_cutout(pipeline: Record, files: Collection[str]) -> CutoutSettings:
    settings = CutoutSettings(image_size=pipeline.count("image_size"), max_points=pipeline.count("max_points"))
    if settings.image_size % 2:
        raise pipeline.complaint("image_size", f"is {settings.image_size}, an even number is expected")
    return settings


def _read_upscale(pipeline: Record, files: Collection[str]) -> UpscaleSettings:
    settings = UpscaleSettings(scale=pipeline.count("scale"), overlap=pipeline.count("overlap"))
    if settings.scale not in UPSCALES:
        raise pipeline.complaint("scale", f"is {settings.scale}, accepted: {', '.join(map(str, UPSCALES))}")
    return settings


def _read_text_to_image(pipeline: Record, files: Collection[str]) -> TextToImageSettings:
    settings = TextToImageSettings(
        sampler=_read_sampler(pipeline.record("sampler")),
        styles=pipeline.texts("styles"),
        default_style=pipeline.text("default_style"),
        default_steps=pipeline.count("default_steps"),
        max_tokens=pipeline.count("max_tokens"),
        image_size=pipeline.count("image_size"),
    )
    if settings.default_style not in settings.styles:
        raise pipeline.complaint("default_style", f"is {settings.default_style!r}, which is not one of styles")
    if settings.default_steps not in settings.sampler.times:
        raise pipeline.complaint("default_steps", f"is {settings.default_steps}, which the sampler does not offer")
    if TOKENIZER not in files:
        raise pipeline.complaint(TOKENIZER, "is not among the files, and words cannot be read without it")
    return settings


def _read_sampler(record: Record) -> SamplerPlan:
    kind = record.text("kind")
    if kind != SAMPLER:
        raise record.complaint("kind", f"is {kind!r}, accepted: {SAMPLER}")
    offers = record.record("times")
    times = {}
    for steps in offers.values:
        times[_step_count(offers, steps)] = offers.numbers(steps)
        if not _fit(offers.numbers(steps), int(steps)):
            raise offers.complaint(steps, "are not descending times from 1 to 0, one more than steps")
    if not times:
        raise record.complaint("times", "is empty")
    guidance = None if record.values.get("guidance") is None else record.number("guidance")
    return SamplerPlan(times, guidance)


def _step_count(offers: Record, steps: str) -> int:
    if not (steps.isascii() and steps.isdigit() and int(steps) > 0):
        raise offers.complaint(steps, "is not a positive number of steps")
    return int(steps)


def _fit(times: tuple[float, ...], steps: int) -> bool:
    ends = times[0] == 1 and times[-1] == 0
    return ends and len(times) == steps + 1 and all(later < earlier for earlier, later in pairwise(times))


SETTINGS: dict[str, Callable[[Record, Collection[str]], Settings]] = {  # task -> (pipeline, names of files) -> settings
    "text-to-image": _read_text_to_image,
    "cutout": _read_cutout,
    "upscale": _read_upscale,
    "networks": _read_networks,
}
