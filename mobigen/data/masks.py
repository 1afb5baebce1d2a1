"""Photos with label maps as tensors: decoded once into a cache, letterboxed as the cutout pipeline does it.

A sample is a photo, a PNG label map (0 is ground) and a JSON with `parts`, a name for each label. All labels of a map
belong to one object, a person and what they carry, say; a map with a single label has no parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobigen.data.cache import fingerprint, is_current, refilled
from mobigen.data.shards import read_files
from mobigen.errors import InputError
from mobigen.letterbox import Letterbox

__all__ = ["MaskSet", "is_held_out", "load_masks"]

HELD_OUT = 0.12  # share of samples that are never trained on
RESAMPLING = "area, linear; labels nearest exact"  # another one makes another cache
SMALLEST_PART = 0.001  # of a picture, to count as a part


@dataclass(frozen=True)
class MaskSet:
    """N photos and their label maps.

    images: (N, S, S, 3) of uint8, RGB. labels: (N, S, S) of uint8. sizes: (N, 2), height and width without padding.
    present: (N, 256) of bool, the labels of each map that cover enough to be asked for. names: of the labels by map.
    """

    images: Tensor
    labels: Tensor
    sizes: Tensor
    present: Tensor
    keys: Sequence[str]
    names: Sequence[dict[int, str]]

    def subset(self, wanted: Sequence[int]) -> MaskSet:
        """The samples at the indices `wanted`, in that order, copied into memory."""
        index = torch.as_tensor(wanted, dtype=torch.long)
        tensors = (self.images[index], self.labels[index], self.sizes[index], self.present[index])
        return MaskSet(*tensors, [self.keys[each] for each in wanted], [self.names[each] for each in wanted])

    def split(self) -> tuple[MaskSet, MaskSet]:
        """Those to train on, and those held out, by their keys."""
        held = [index for index, key in enumerate(self.keys) if is_held_out(key)]
        kept = [index for index, key in enumerate(self.keys) if not is_held_out(key)]
        return self.subset(kept), self.subset(held)


def is_held_out(key: str) -> bool:
    """Whether a sample belongs to the validation split: decided by its key alone, so that it never changes."""
    return hashlib.sha256(key.encode()).digest()[0] < HELD_OUT * 256


def load_masks(folder: Path, cache: Path, size: int = 512) -> MaskSet:
    """Reads the shards in `folder`, or `cache` if an earlier run has decoded the same.

    Args:
        folder: holds `*.tar` shards of photos (jpg), label maps (png) and JSON with `parts`.
        cache: a folder for the decoded pictures, which are memory-mapped.
        size: pixels a side.

    Raises:
        InputError: there is no shard, one is damaged, or a sample is not a photo with a label map of its size.
    """
    settings = {"size": size, "resampling": RESAMPLING, "shards": fingerprint(folder, "*.tar")}
    listing = cache / "masks.json"
    if not is_current(listing, settings):
        _decode(folder, cache, settings)
    samples = json.loads(listing.read_text())["samples"]
    count = len(samples)
    images = np.memmap(cache / "masks.rgb", np.uint8, "c", shape=(count, size, size, 3))
    labels = np.memmap(cache / "masks.labels", np.uint8, "c", shape=(count, size, size))
    names = [{int(value): name for value, name in each["parts"].items()} for each in samples]
    return MaskSet(
        images=torch.from_numpy(images),
        labels=torch.from_numpy(labels),
        sizes=torch.tensor([each["size"] for each in samples]),
        present=torch.from_numpy(_present([each["labels"] for each in samples])),
        keys=[each["key"] for each in samples],
        names=names,
    )


def _present(lists: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    table = np.zeros((len(lists), 256), bool)
    for row, labels in zip(table, lists, strict=True):
        row[labels] = True
    return table


def _decode(folder: Path, cache: Path, settings: dict[str, Any]) -> None:
    """Writes pictures and label maps one after the other."""
    samples: list[dict[str, Any]] = []
    filling = refilled(cache / "masks.json", "masks.rgb", "masks.labels")
    with filling as (listing, (photos, maps)), ThreadPoolExecutor() as pool:
        listing.update(settings=settings, samples=samples)
        for photo, labels, sample in pool.map(lambda raw: _sample(raw, settings["size"]), read_files(folder)):
            photos.write(photo.tobytes())
            maps.write(labels.tobytes())
            samples.append(sample)


def _sample(raw: dict[str, Any], size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, Any]]:
    """Photo, label map and what the listing says of them. Raises InputError."""
    photo = _image(raw.get("jpg", raw.get("jpeg")), cv2.IMREAD_COLOR)
    labels = _image(raw.get("png"), cv2.IMREAD_UNCHANGED)
    parts = _parts(raw.get("json", b""))
    if photo is None or labels is None or labels.ndim != 2 or labels.shape != photo.shape[:2] or parts is None:
        raise InputError(
            f"sample {raw['__key__']} needs a photo (jpg), a label map of its size (png, 8-bit grey) "
            'and a JSON object with parts, such as {"parts": {"1": "dog"}}'
        )
    box = Letterbox(labels.shape[0], labels.shape[1], size)
    rgb, padded = box.square(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB)), box.square_labels(labels)
    counts = np.bincount(padded.ravel(), minlength=256)[1:]
    large = [int(label) + 1 for label in np.flatnonzero(counts >= SMALLEST_PART * size * size)]
    return rgb, padded, {"key": raw["__key__"], "size": box.inner, "labels": large, "parts": parts}


def _image(content: bytes | None, flags: int) -> NDArray[np.uint8] | None:
    if not content:
        return None
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    return image if image is not None and image.dtype == np.uint8 else None


def _parts(content: bytes) -> dict[str, str] | None:
    try:
        parts = json.loads(content)["parts"]
        return {str(int(value)): str(name) for value, name in parts.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
