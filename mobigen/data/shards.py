"""WebDataset shards: reading them, and packing a folder of captioned pictures, or of photos with label maps."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import webdataset as wds
from webdataset.tariterators import group_by_keys, tar_file_expander

from mobigen.errors import InputError

__all__ = ["Sample", "pack_folder", "read_files", "read_pictures", "read_shards"]

IMAGE_SUFFIXES = ("webp", "jpg", "jpeg", "png")  # a PNG beside a photo is its label map
LISTING = "metadata.jsonl"
SAMPLES_A_SHARD = 3000
Packed = tuple[str, dict[str, Path | dict[str, Any]]]  # a sample's key, and its files, or records, by suffix


class Sample(NamedTuple):
    """One picture as encoded bytes, with its record (the JSON beside it)."""

    key: str
    image: bytes
    record: dict[str, Any]


def read_shards(folder: Path) -> Iterator[Sample]:
    """The samples of every `*.tar` in `folder`, in order; the same in every process of a run.

    Raises:
        InputError: there is no shard, one is damaged, or a sample lacks its picture or its JSON object.
    """
    for raw in read_files(folder):
        yield _sample(raw, folder)


def read_files(folder: Path) -> Iterator[dict[str, Any]]:
    """The files of every sample by their suffix, and its key as `__key__`; otherwise as `read_shards`.

    Raises:
        InputError: there is no shard, or one is damaged.
    """
    shards = sorted(folder.glob("*.tar"))
    if not shards:
        raise InputError(f"no *.tar shards in {folder}; make some with `mobigen data pack FOLDER --out {folder}`")
    try:
        with closing(_opened(shards)) as opened:  # also when one is damaged, and not some time later
            yield from group_by_keys(tar_file_expander(opened))
    except (tarfile.TarError, EOFError, ValueError) as error:
        reason = error.args[0] if error.args else "it ends too early"
        raise InputError(f"a shard in {folder} is damaged ({reason}); pack or download it again") from error


def read_pictures(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The name and the encoded bytes of every picture in a folder's shards, or else of every picture file in it.

    A sample of a shard has one picture: that of the first of IMAGE_SUFFIXES that it has.

    Raises:
        InputError: there are no pictures, or a shard is damaged.
    """
    files = [path for path in sorted(folder.glob("*")) if path.suffix.lower().lstrip(".") in IMAGE_SUFFIXES]
    if any(folder.glob("*.tar")):
        for raw in read_files(folder):
            if (picture := _picture(raw)) is not None:
                yield raw["__key__"], picture
    elif files:
        yield from ((path.stem, path.read_bytes()) for path in files)
    else:
        accepted = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"no pictures in {folder}; it must hold *.tar shards or pictures ({accepted})")


def _opened(shards: Iterable[Path]) -> Generator[dict[str, Any], None, None]:
    """As webdataset's own opener, which leaves the files open and shares them out among processes."""
    for shard in shards:
        with shard.open("rb") as stream:
            yield {"url": str(shard), "stream": stream}


def _picture(raw: dict[str, Any]) -> bytes | None:
    return next((raw[suffix] for suffix in IMAGE_SUFFIXES if suffix in raw), None)


def _sample(raw: dict[str, Any], folder: Path) -> Sample:
    picture = _picture(raw)
    try:
        record = json.loads(raw["json"])
    except (KeyError, ValueError):
        record = None
    if picture is None or not isinstance(record, dict):
        accepted = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"sample {raw['__key__']} in {folder} needs a picture ({accepted}) and a JSON object")
    return Sample(raw["__key__"], picture, record)


def pack_folder(folder: Path, out: Path) -> int:
    """Packs an imagefolder (pictures and a `metadata.jsonl` with a `file_name` a line) into shards.

    The other fields of a line become the sample's record; `text` serves as its name. A folder without that file may
    hold photos with label maps instead, NAME.jpg, NAME.png and NAME.json, whose keys are their names. Shards are
    written beside their place and renamed when whole; those of an earlier packing are replaced.

    Returns:
        The number of samples.

    Raises:
        InputError: no metadata.jsonl, a line that cannot be read, or a file that is missing.
    """
    labelled = not (folder / LISTING).exists() and any(folder.glob("*.json"))
    samples = _find_labelled(folder) if labelled else _find_captioned(folder)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)  # of an interrupted packing
    partial.mkdir(parents=True)
    try:
        _write_shards(samples, partial)
        out.mkdir(parents=True, exist_ok=True)
        for earlier in out.glob("shard-[0-9]*.tar"):
            earlier.unlink()
        for shard in partial.iterdir():
            shard.replace(out / shard.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(samples)


def _write_shards(samples: list[Packed], out: Path) -> None:
    pattern = str(out).replace("%", "%%") + "/shard-%05d.tar"
    with wds.ShardWriter(pattern, maxcount=SAMPLES_A_SHARD, verbose=0) as writer:
        for key, files in samples:
            contents = {name: each.read_bytes() if isinstance(each, Path) else each for name, each in files.items()}
            writer.write({"__key__": key, **contents})


def _find_labelled(folder: Path) -> list[Packed]:
    """Photos with label maps, by the name that their files share. Raises InputError for one that is not whole."""
    found: dict[str, dict[str, Path | dict[str, Any]]] = {}
    for path in sorted(folder.glob("[!.]*")):
        suffix = {".jpeg": ".jpg"}.get(path.suffix.lower(), path.suffix.lower())
        if suffix in (".jpg", ".png", ".json"):
            found.setdefault(path.stem, {})[suffix[1:]] = path
    for name, files in found.items():
        if len(files) < 3 or "." in name:  # of a key, what follows its first point is a suffix
            raise InputError(
                f"{folder / name} needs a photo ({name}.jpg), a label map ({name}.png) and {name}.json with parts, "
                "and no point in its name"
            )
    return list(found.items())


def _find_captioned(folder: Path) -> list[Packed]:
    """Pictures by their numbers, with their records. Raises InputError."""
    samples: list[Packed] = []
    for index, record in enumerate(_read_metadata(folder)):
        path = folder / record["file_name"]
        text = record.get("text", path.stem)
        rest = {field: value for field, value in record.items() if field not in ("file_name", "text")}
        samples.append((f"{index:07d}", {path.suffix.lstrip(".").lower(): path, "json": {"name": text, **rest}}))
    return samples


def _read_metadata(folder: Path) -> list[dict[str, Any]]:
    """The lines of metadata.jsonl, each naming a picture that is there. Raises InputError."""
    listing = folder / LISTING
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {listing}; write one JSON object a line, with file_name and text (the imagefolder "
            "convention), or give a folder of photos with label maps: NAME.jpg, NAME.png and NAME.json"
        ) from error
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            path = folder / record["file_name"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{listing}, line {number}: not a JSON object with file_name ({error})") from error
        if not path.is_file() or path.suffix.lstrip(".").lower() not in IMAGE_SUFFIXES:
            raise InputError(f"{listing}, line {number}: no picture {path} (accepted: {', '.join(IMAGE_SUFFIXES)})")
        if not isinstance(record.get("name", record.get("text", "")), str):
            raise InputError(f"{listing}, line {number}: text is not a string; give the picture's name in words")
        records.append(record)
    if not records:
        raise InputError(f"{listing} names no pictures; write one JSON object a line, with file_name and text")
    return records
