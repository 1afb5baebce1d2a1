"""metadata.json, the contract of an export bundle: frozen records, and a reader that checks every field.

An app developer reads the same file in another language; nothing here knows where files lie.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

from mobigen.errors import BundleError, ConfigError
from mobigen.signature import Signature, TensorSpec

__all__ = [
    "REPAIR",
    "SCHEMA_VERSION",
    "Artefact",
    "BundledComponent",
    "Credit",
    "Metadata",
    "SamplerPlan",
    "TextToImageSettings",
    "read_metadata",
]

SCHEMA_VERSION = 1
REPAIR = "fetch a clean copy of the bundle or export it again"


@dataclass(frozen=True)
class Artefact:
    """One exported graph: a file (or an .mlpackage folder) below the bundle's folder."""

    file: str  # relative, with forward slashes
    precision: str  # "float32", "float16", "int8", ...
    bytes: int
    sha256: str
    parity_db: float  # PSNR against the network, the worst of its outputs


@dataclass(frozen=True)
class BundledComponent:
    """One network of a bundle: its signature and the graph of each backend."""

    signature: Signature
    backends: Mapping[str, Artefact]


@dataclass(frozen=True)
class SamplerPlan:
    """Which sampler the model was made for and, for each number of steps on offer, its times."""

    kind: str  # a name of SAMPLER_KINDS
    times: Mapping[int, tuple[float, ...]]
    guidance: float | None = None  # classifier-free, at every step; None if it is folded in or not wanted


@dataclass(frozen=True)
class TextToImageSettings:
    """What a text-to-image pipeline has to know beside its graphs."""

    sampler: SamplerPlan
    styles: tuple[str, ...]  # in the order of the one-hot style input
    default_style: str
    default_steps: int
    max_tokens: int
    image_size: int  # pixels, square
    tokenizer: str  # file, relative like an artefact's
    tokenizer_sha256: str


@dataclass(frozen=True)
class Credit:
    """A source of training data or code, and its licence."""

    name: str
    licence: str
    note: str


@dataclass(frozen=True)
class Metadata:
    """All that metadata.json says."""

    name: str
    version: str
    task: str
    components: Mapping[str, BundledComponent]
    settings: TextToImageSettings
    licence: str
    credits: tuple[Credit, ...]
    converters: Mapping[str, str]
    weights_sha256: str


class _Record:
    """A JSON object that knows its place in the file, so that every complaint names the field."""

    def __init__(self, values: Any, place: str) -> None:
        if not isinstance(values, dict):
            raise BundleError(f"{place} is not a JSON object; {REPAIR}")
        self.values = values
        self.place = place

    def field(self, key: str, accepted: type | tuple[type, ...], description: str) -> Any:
        value = self.values.get(key)
        if not isinstance(value, accepted) or isinstance(value, bool):
            found = "missing" if key not in self.values else f"{value!r:.60}"
            raise self.complaint(key, f"is {found}, {description} is expected")
        return value

    def complaint(self, key: str, what: str) -> BundleError:
        return BundleError(f"{self.place}: {key} {what}; {REPAIR}")

    def text(self, key: str) -> str:
        return self.field(key, str, "a string")

    def count(self, key: str) -> int:
        value = self.field(key, int, "a positive integer")
        if value < 1:
            raise self.complaint(key, f"is {value}, a positive integer is expected")
        return value

    def number(self, key: str) -> float:
        return float(self.field(key, (int, float), "a number"))

    def numbers(self, key: str) -> tuple[float, ...]:
        values = self.field(key, list, "a list of numbers")
        if not all(isinstance(value, (int, float)) for value in values):
            raise self.complaint(key, f"is {values!r:.60}, a list of numbers is expected")
        return tuple(values)

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.field(key, list, "a list of strings")
        if not values or not all(isinstance(value, str) for value in values):
            raise self.complaint(key, f"is {values!r:.60}, a list of strings is expected")
        return tuple(values)

    def record(self, key: str) -> "_Record":
        return _Record(self.field(key, dict, "an object"), f"{self.place}: {key}")

    def records(self, key: str) -> tuple["_Record", ...]:
        values = self.field(key, list, "a list of objects")
        return tuple(_Record(value, f"{self.place}: {key}[{index}]") for index, value in enumerate(values))

    def each(self, key: str) -> dict[str, "_Record"]:
        """A non-empty object whose values are objects."""
        group = self.record(key)
        if not group.values:
            raise self.complaint(key, "is empty")
        return {name: group.record(name) for name in group.values}

    def path(self, key: str) -> str:
        """A relative path that stays inside the bundle's folder."""
        value = self.text(key)
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts or "\\" in value or ":" in value or not path.parts:
            raise self.complaint(key, f"is {value!r}, a path inside the bundle's folder is expected")
        return value


def read_metadata(values: Any, place: str) -> Metadata:
    """Check the parsed JSON of a metadata.json.

    Args:
        values: what `json.loads` gave.
        place: the file's path, for messages.

    Raises:
        BundleError: another schema version, or a field that is missing or not what it should be.
    """
    record = _Record(values, place)
    schema = record.count("schema_version")
    if schema != SCHEMA_VERSION:
        raise BundleError(
            f"{record.place} has schema version {schema}, this mobigen reads {SCHEMA_VERSION}; "
            "install the mobigen that made the bundle or export it again"
        )
    task = record.text("task")
    if task not in SETTINGS_READERS:
        raise record.complaint("task", f"is {task!r}, accepted: {', '.join(SETTINGS_READERS)}")
    converters = record.record("converters")
    return Metadata(
        name=record.text("name"),
        version=record.text("version"),
        task=task,
        components={name: _read_component(name, each) for name, each in record.each("components").items()},
        settings=SETTINGS_READERS[task](record),
        licence=record.text("licence"),
        credits=tuple(Credit(*map(each.text, ("name", "licence", "note"))) for each in record.records("credits")),
        converters={name: converters.text(name) for name in converters.values},
        weights_sha256=record.text("weights_sha256"),
    )


def _read_component(name: str, record: _Record) -> BundledComponent:
    inputs, outputs = (tuple(map(_read_tensor, record.records(side))) for side in ("inputs", "outputs"))
    if not inputs or not outputs:
        raise BundleError(f"{record.place} has no inputs or no outputs; {REPAIR}")
    try:
        signature = Signature(name, inputs, outputs)
    except ConfigError as error:
        raise BundleError(f"{record.place}: {error}; {REPAIR}") from error
    backends = {backend: _read_artefact(each) for backend, each in record.each("backends").items()}
    return BundledComponent(signature, backends)


def _read_tensor(record: _Record) -> TensorSpec:
    shape = record.numbers("shape")
    if not all(isinstance(size, int) for size in shape):
        raise record.complaint("shape", f"is {list(shape)}, integers are expected")
    span = (None, None) if record.values.get("range") is None else record.numbers("range")
    if len(span) != 2:
        raise record.complaint("range", "is not null or [lowest, highest]")
    try:
        return TensorSpec(record.text("name"), tuple(map(int, shape)), record.text("dtype"), *span)
    except ConfigError as error:
        raise BundleError(f"{record.place}: {error}; {REPAIR}") from error


def _read_artefact(record: _Record) -> Artefact:
    return Artefact(
        file=record.path("file"),
        precision=record.text("precision"),
        bytes=record.count("bytes"),
        sha256=record.text("sha256"),
        parity_db=record.number("parity_db"),
    )


def _read_text_to_image(record: _Record) -> TextToImageSettings:
    pipeline, tokenizer = record.record("pipeline"), record.record("tokenizer")
    settings = TextToImageSettings(
        sampler=_read_sampler(pipeline.record("sampler")),
        styles=pipeline.texts("styles"),
        default_style=pipeline.text("default_style"),
        default_steps=pipeline.count("default_steps"),
        max_tokens=pipeline.count("max_tokens"),
        image_size=pipeline.count("image_size"),
        tokenizer=tokenizer.path("file"),
        tokenizer_sha256=tokenizer.text("sha256"),
    )
    if settings.default_style not in settings.styles:
        raise pipeline.complaint("default_style", f"is {settings.default_style!r}, which is not one of styles")
    if settings.default_steps not in settings.sampler.times:
        raise pipeline.complaint("default_steps", f"is {settings.default_steps}, which the sampler does not offer")
    return settings


def _read_sampler(record: _Record) -> SamplerPlan:
    kind = record.text("kind")
    if kind not in SAMPLER_KINDS:
        raise record.complaint("kind", f"is {kind!r}, accepted: {', '.join(SAMPLER_KINDS)}")
    offers = record.record("times")
    times = {}
    for steps in offers.values:
        times[_step_count(offers, steps)] = offers.numbers(steps)
        if not SAMPLER_KINDS[kind](int(steps), offers.numbers(steps)):
            raise offers.complaint(steps, "are not descending times from 1 that fit the sampler")
    if not times:
        raise record.complaint("times", "is empty")
    guidance = None if record.values.get("guidance") is None else record.number("guidance")
    return SamplerPlan(kind, times, guidance)


def _step_count(offers: _Record, steps: str) -> int:
    if not (steps.isascii() and steps.isdigit() and int(steps) > 0):
        raise offers.complaint(steps, "is not a positive number of steps")
    return int(steps)


def _few_step_times(steps: int, times: tuple[float, ...]) -> bool:
    """One time a step, the last above 0 (its prediction is the sample)."""
    return len(times) == steps and _descend_from_one(times) and times[-1] > 0


def _euler_times(steps: int, times: tuple[float, ...]) -> bool:
    """One time more than steps, the last one 0."""
    return len(times) == steps + 1 and _descend_from_one(times) and times[-1] == 0


def _descend_from_one(times: tuple[float, ...]) -> bool:
    return times[0] == 1 and all(later < earlier for earlier, later in pairwise(times))


SAMPLER_KINDS: dict[str, Callable[[int, tuple[float, ...]], bool]] = {
    "few_step": _few_step_times,
    "euler": _euler_times,
}
SETTINGS_READERS: dict[str, Callable[[_Record], TextToImageSettings]] = {
    "text-to-image": _read_text_to_image,
}
