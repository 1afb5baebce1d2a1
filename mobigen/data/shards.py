"""WebDataset shards: reading them, and packing a folder of captioned pictures into them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import webdataset as wds

from mobigen.errors import InputError

__all__ = ["Sample", "pack_folder", "read_shards"]

IMAGE_SUFFIXES = ("webp", "png", "jpg", "jpeg")
SAMPLES_A_SHARD = 3000


class Sample(NamedTuple):
    """One picture as encoded bytes, with its record (the JSON beside it)."""

    key: str
    image: bytes
    record: dict[str, Any]


def read_shards(folder: Path) -> Iterator[Sample]:
    """The samples of every `*.tar` in `folder`, in order.

    Raises:
        InputError: there is no shard, or a sample lacks its picture or its JSON.
    """
    shards = sorted(str(path) for path in folder.glob("*.tar"))
    if not shards:
        raise InputError(f"no *.tar shards in {folder}; make some with `mobigen data pack FOLDER --out {folder}`")
    for raw in wds.WebDataset(shards, shardshuffle=False):
        suffix = next((suffix for suffix in IMAGE_SUFFIXES if suffix in raw), None)
        if suffix is None or "json" not in raw:
            raise InputError(
                f"sample {raw['__key__']} in {folder} needs a picture ({', '.join(IMAGE_SUFFIXES)}) and a .json"
            )
        yield Sample(raw["__key__"], raw[suffix], json.loads(raw["json"]))


def pack_folder(folder: Path, out: Path) -> int:
    """Packs an imagefolder (pictures and a `metadata.jsonl` with a `file_name` a line) into shards; returns the samples.

    The other fields of a line become the sample's record; `text` serves as its name. Shards are written beside their
    place and renamed when whole.

    Raises:
        InputError: no metadata.jsonl, a line that cannot be read, or a picture that is missing.
    """
    records = _read_metadata(folder)
    partial = out.with_name(out.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    pattern = str(partial / "shard-%05d.tar")
    with wds.ShardWriter(pattern, maxcount=SAMPLES_A_SHARD, verbose=0) as writer:
        for index, record in enumerate(records):
            path = folder / record.pop("file_name")
            record.setdefault("name", record.pop("text", path.stem))
            writer.write(
                {"__key__": f"{index:07d}", path.suffix.lstrip(".").lower(): path.read_bytes(), "json": record}
            )
    out.mkdir(parents=True, exist_ok=True)
    for shard in partial.iterdir():
        shard.replace(out / shard.name)
    partial.rmdir()
    return len(records)


def _read_metadata(folder: Path) -> list[dict[str, Any]]:
    listing = folder / "metadata.jsonl"
    if not listing.is_file():
        raise InputError(
            f"no {listing}; write one JSON object a line, with file_name and text (the imagefolder convention)"
        )
    records = []
    for number, line in enumerate(listing.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = json.loads(line)
            path = folder / record["file_name"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise InputError(f"{listing}, line {number}: not a JSON object with file_name ({error})") from error
        if not path.is_file() or path.suffix.lstrip(".").lower() not in IMAGE_SUFFIXES:
            raise InputError(f"{listing}, line {number}: no picture {path} (accepted: {', '.join(IMAGE_SUFFIXES)})")
        records.append(record)
    return records
