"""The sticker set as tensors: decoded once into a cache, recoloured copies beside the originals, captions for each."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobigen.data.augment import jitter
from mobigen.data.captions import captions
from mobigen.data.recolour import COLOURS, dominant_region, recolour
from mobigen.data.shards import Sample, read_shards
from mobigen.errors import InputError

__all__ = ["STYLES", "Sticker", "StickerBatches", "StickerSet", "load_stickers", "premultiply"]

STYLES = ("3d", "color", "flat", "noto", "twemoji", "emojitwo", "blob")
TEXT_LIKE = ("button", "keycap", "clock", "sign", "symbol", "letter", "number", "facing", "left", "right", "arrow", "’")
FIXED_COLOUR_GROUPS = ("People & Body", "Flags")  # skin and flags keep their colours


@dataclass(frozen=True)
class Sticker:
    """One picture of the set; `record` is the JSON that came with it."""

    name: str
    style: int  # index in STYLES
    captions: tuple[str, ...]
    mirrorable: bool  # False for text-like signs
    original: bool  # False for recoloured copies


@dataclass(frozen=True)
class StickerSet:
    """Pictures (N, H, W, 4) of uint8, straight RGBA, and what is known of each."""

    images: Tensor
    stickers: Sequence[Sticker]

    def subset(self, wanted: Sequence[int]) -> StickerSet:
        return StickerSet(self.images[torch.as_tensor(wanted)], [self.stickers[index] for index in wanted])

    def held_out(self, share: float, seed: int = 0) -> tuple[StickerSet, StickerSet]:
        """Originals only, split at random into (kept, held out)."""
        originals = [index for index, sticker in enumerate(self.stickers) if sticker.original]
        random.Random(seed).shuffle(originals)
        cut = int(len(originals) * (1 - share))
        return self.subset(sorted(originals[:cut])), self.subset(sorted(originals[cut:]))


def load_stickers(
    folder: Path, cache: Path, recoloured: int = 3, captions_each: int = 8, size: int = 256
) -> StickerSet:
    """Reads the shards in `folder`, or `cache` if an earlier run has decoded the same.

    Args:
        folder: holds `*.tar` shards of RGBA pictures and JSON with `name` and, if known, `style`, `keywords`, `group`.
        cache: a folder for the decoded pictures; memory-mapped, so a large set need not fit in memory.
        recoloured: copies of every sticker with one clear colour, in other colours.
        captions_each: caption variants of a picture.
        size: pixels a side.

    Raises:
        InputError: no shards, or a sample that cannot be used.
    """
    settings = {"recoloured": recoloured, "captions": captions_each, "size": size, "shards": _fingerprint(folder)}
    listing = cache / "stickers.json"
    if not listing.is_file() or json.loads(listing.read_text())["settings"] != settings:
        _decode(folder, cache, settings)
    stickers = [
        Sticker(**{**fields, "captions": tuple(fields["captions"])})
        for fields in json.loads(listing.read_text())["stickers"]
    ]
    images = np.load(cache / "stickers.npy", mmap_mode="c")
    return StickerSet(torch.from_numpy(images), stickers)


def _fingerprint(folder: Path) -> list[list[Any]]:
    return [[path.name, path.stat().st_size] for path in sorted(folder.glob("*.tar"))]


def _decode(folder: Path, cache: Path, settings: dict[str, Any]) -> None:
    """Decodes on threads, in order, into `stickers.npy` and `stickers.json`; the listing is written last."""
    cache.mkdir(parents=True, exist_ok=True)
    samples = list(read_shards(folder))
    with ThreadPoolExecutor() as pool:
        made = [pair for pairs in pool.map(lambda sample: list(_variants(sample, settings)), samples) for pair in pairs]
    images = np.lib.format.open_memmap(
        cache / "stickers.npy", mode="w+", dtype=np.uint8, shape=(len(made), settings["size"], settings["size"], 4)
    )
    for index, (image, _) in enumerate(made):
        images[index] = image
    images.flush()
    stickers = [asdict(sticker) for _, sticker in made]
    partial = cache / "stickers.json.partial"
    partial.write_text(json.dumps({"settings": settings, "stickers": stickers}))
    partial.replace(cache / "stickers.json")


def _variants(sample: Sample, settings: dict[str, Any]) -> Iterator[tuple[NDArray[np.uint8], Sticker]]:
    """The picture itself, then its recoloured copies; the same sample always gives the same ones."""
    source = random.Random(sample.key)
    image, record = _picture(sample, settings["size"]), sample.record
    style = STYLES.index(record.get("style", STYLES[0]))
    group = record.get("group")
    mirrorable = group not in ("Symbols", "Flags") and not any(word in record["name"].lower() for word in TEXT_LIKE)
    movable = group not in FIXED_COLOUR_GROUPS and record.get("skin_tone") is None
    region = dominant_region(image) if movable else None
    natural = region.name if region else None
    said = captions(record, natural, False, settings["captions"], source)
    yield image, Sticker(record["name"], style, tuple(said), mirrorable, True)
    if region is not None:
        for colour in source.sample([name for name in COLOURS if name != natural], settings["recoloured"]):
            said = captions(record, colour, True, settings["captions"], source)
            yield recolour(image, region, colour), Sticker(record["name"], style, tuple(said), mirrorable, False)


def _picture(sample: Sample, size: int) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(sample.image, np.uint8), cv2.IMREAD_UNCHANGED)
    if (
        image is None
        or image.ndim != 3
        or "name" not in sample.record
        or sample.record.get("style", STYLES[0]) not in STYLES
    ):
        raise InputError(f"sample {sample.key} needs a colour picture, a name and a style of: {', '.join(STYLES)}")
    if image.shape[2] == 3:
        image = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    rgba = cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)
    return rgba if rgba.shape[:2] == (size, size) else cv2.resize(rgba, (size, size), interpolation=cv2.INTER_AREA)


def premultiply(images: Tensor) -> Tensor:
    """uint8 pictures (B, H, W, 4) -> (B, 4, H, W) in [-1, 1]: colour times alpha (0 where transparent), and alpha."""
    scaled = images.permute(0, 3, 1, 2).float() / 255
    colour, alpha = scaled[:, :3] * 2 - 1, scaled[:, 3:]
    return torch.cat([colour * alpha, alpha * 2 - 1], dim=1)


class StickerBatches:
    """Random batches of a set on the training device; the pictures live there too when they take less than half of it."""

    def __init__(self, stickers: StickerSet, device: torch.device):
        self.images = stickers.images
        if device.type == "cuda" and self.images.nbytes < torch.cuda.get_device_properties(device).total_memory / 2:
            self.images = self.images.to(device)
        self.mirrorable = torch.tensor([sticker.mirrorable for sticker in stickers.stickers], device=device)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Indices (count,) and pictures (count, 4, H, W) from `premultiply`, slightly moved."""
        drawn = torch.randint(len(self.images), (count,), generator=generator, device=generator.device)
        pictures = premultiply(self.images[drawn.to(self.images.device)].to(generator.device))
        return drawn, jitter(pictures, self.mirrorable[drawn], generator)
