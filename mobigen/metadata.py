"""metadata.json, the contract of an export bundle: frozen records, and a reader that checks every field.

An app developer reads the same file in another language; nothing here knows where files lie.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mobigen.errors import BundleError, ConfigError
from mobigen.record import REPAIR, Record
from mobigen.settings import SETTINGS
from mobigen.signature import Signature, TensorSpec

__all__ = [
    "SCHEMA_VERSION",
    "Artefact",
    "BundledComponent",
    "Credit",
    "ExtraFile",
    "Metadata",
    "read_metadata",
]

SCHEMA_VERSION = 2
EDGES = ("float32", "uint8")


@dataclass(frozen=True)
class Artefact:
    """One exported graph: a file (or an .mlpackage folder) below the bundle's folder."""

    file: str  # relative, with forward slashes
    precision: str  # "float32", "float16", "int8-dynamic", "palette6", ...
    bytes: int
    sha256: str
    parity_db: float  # PSNR against the network, the worst of its outputs
    edges: str = "float32"  # or "uint8": of inputs and outputs, where 0 to 255 stand for the range that they state


@dataclass(frozen=True)
class BundledComponent:
    """One network of a bundle: its signature and the graph of each backend.

    Attributes:
        signature: of the size that a pipeline runs.
        backends: backend -> graph.
        sizes: where a graph serves several sizes, the name of each one's function in it -> its signature.
    """

    signature: Signature
    backends: Mapping[str, Artefact]
    sizes: Mapping[str, Signature] = field(default_factory=dict)


@dataclass(frozen=True)
class ExtraFile:
    """A file that a pipeline needs beside the graphs, such as a tokenizer."""

    file: str  # relative, with forward slashes
    sha256: str


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
    settings: Any  # the record of its task in `mobigen.settings`
    files: Mapping[str, ExtraFile]
    licence: str
    credits: tuple[Credit, ...]
    converters: Mapping[str, str]
    weights_sha256: str


def read_metadata(values: Any, place: str) -> Metadata:
    """Check the parsed JSON of a metadata.json.

    Args:
        values: what `json.loads` gave.
        place: the file's path, for messages.

    Raises:
        BundleError: another schema version, or a field that is missing or not what it should be.
    """
    record = Record(values, place)
    schema = record.count("schema_version")
    if schema != SCHEMA_VERSION:
        raise BundleError(
            f"{record.place} has schema version {schema}, this mobigen reads {SCHEMA_VERSION}; "
            "install the mobigen that made the bundle or export it again"
        )
    task = record.text("task")
    if task not in SETTINGS:
        raise record.complaint("task", f"is {task!r}, accepted: {', '.join(SETTINGS)}")
    converters, extra = record.record("converters"), record.record("files")
    files = {name: _read_file(extra.record(name)) for name in extra.values}
    return Metadata(
        name=record.text("name"),
        version=record.text("version"),
        task=task,
        components={name: _read_component(name, each) for name, each in record.each("components").items()},
        settings=SETTINGS[task](record.record("pipeline"), files),
        files=files,
        licence=record.text("licence"),
        credits=tuple(Credit(*map(each.text, ("name", "licence", "note"))) for each in record.records("credits")),
        converters={name: converters.text(name) for name in converters.values},
        weights_sha256=record.text("weights_sha256"),
    )


def _read_component(name: str, record: Record) -> BundledComponent:
    signature = _read_signature(name, record)
    backends = {backend: _read_artefact(each) for backend, each in record.each("backends").items()}
    sizes = {} if "sizes" not in record.values else record.each("sizes")
    functions = {size: _read_signature(name, each) for size, each in sizes.items()}
    if functions and signature not in functions.values():
        raise record.complaint("sizes", "do not hold the component's own inputs and outputs")
    return BundledComponent(signature, backends, functions)


def _read_signature(name: str, record: Record) -> Signature:
    inputs, outputs = (tuple(map(_read_tensor, record.records(side))) for side in ("inputs", "outputs"))
    if not inputs or not outputs:
        raise BundleError(f"{record.place} has no inputs or no outputs; {REPAIR}")
    try:
        return Signature(name, inputs, outputs)
    except ConfigError as error:
        raise BundleError(f"{record.place}: {error}; {REPAIR}") from error


def _read_tensor(record: Record) -> TensorSpec:
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


def _read_artefact(record: Record) -> Artefact:
    edges = record.values.get("edges", EDGES[0])
    if edges not in EDGES:
        raise record.complaint("edges", f"is {edges!r}, accepted: {', '.join(EDGES)}")
    return Artefact(
        file=record.path("file"),
        precision=record.text("precision"),
        bytes=record.count("bytes"),
        sha256=record.text("sha256"),
        parity_db=record.number("parity_db"),
        edges=edges,
    )


def _read_file(record: Record) -> ExtraFile:
    return ExtraFile(record.path("file"), record.text("sha256"))
