"""Records: what was measured, of what, on what and when, as one JSON object a bench."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mobigen.bundle import Bundle
from mobigen.errors import InputError

__all__ = ["SCHEMA_VERSION", "Record", "describe_bundle", "now", "select_components", "write_record"]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Record:
    """One bench.

    Attributes:
        schema_version: of this record.
        date: in UTC.
        machine: device or processor, cores, system.
        versions: of what took part.
        bundle: name, version, task and weights_sha256; and component -> file, precision, bytes and sha256.
        backend, threads, runs: as they were used.
        components: name -> what was measured.
        pipeline: the same of all components together; None where it was not measured.
    """

    schema_version: int
    date: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    bundle: Mapping[str, Any]
    backend: str
    threads: int
    runs: int
    components: Mapping[str, Any]
    pipeline: Any


def now() -> str:
    """The time of day in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def select_components(bundle: Bundle, chosen: Sequence[str]) -> list[str]:
    """Those that were asked for, or all. Raises InputError that lists the bundle's."""
    known = bundle.metadata.components
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise InputError(f"{bundle.folder} has no component {', '.join(unknown)}; its components: {', '.join(known)}")
    return list(chosen) or list(known)


def describe_bundle(bundle: Bundle, backend: str) -> dict[str, Any]:
    """Which bundle it is, down to the bits of its graphs."""
    metadata = bundle.metadata
    graphs = {name: each.backends[backend] for name, each in metadata.components.items() if backend in each.backends}
    return {
        "name": metadata.name,
        "version": metadata.version,
        "task": metadata.task,
        "weights_sha256": metadata.weights_sha256,
        "graphs": {
            name: {"file": each.file, "precision": each.precision, "bytes": each.bytes, "sha256": each.sha256}
            for name, each in graphs.items()
        },
    }


def write_record(record: Record, path: Path) -> None:
    """Write it as JSON, under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
