"""The sticker set as tensors: decoded once into a cache, recoloured copies beside the originals, captions for each."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobigen.data.augment import jitter
from mobigen.data.cache import fingerprint, is_current, refilled
from mobigen.data.captions import captions, clean_name
from mobigen.data.draw import draw_indices
from mobigen.data.recolour import COLOURS, dominant_region, recolour
from mobigen.data.shards import Sample, read_shards
from mobigen.errors import InputError

__all__ = ["STYLES", "Sticker", "StickerBatches", "StickerSet", "load_overlays", "load_stickers", "premultiply"]

STYLES = ("3d", "color", "flat", "noto", "twemoji", "emojitwo", "blob")
TEXT_LIKE = ("button", "keycap", "clock", "sign", "symbol", "letter", "number", "facing", "left", "right", "arrow", "’")
CHUNK = 256  # samples decoded at once
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
        """The stickers at the indices `wanted`, in that order, copied into memory."""
        return StickerSet(self.images[torch.as_tensor(wanted)], [self.stickers[index] for index in wanted])

    def held_out(self, share: float = 0.1, seed: int = 0) -> tuple[StickerSet, StickerSet]:
        """Originals only, split at random into (kept, held out)."""
        originals = [index for index, sticker in enumerate(self.stickers) if sticker.original]
        random.Random(seed).shuffle(originals)
        cut = int(len(originals) * (1 - share))
        return self.subset(sorted(originals[:cut])), self.subset(sorted(originals[cut:]))


def load_stickers(
    folder: Path,
    cache: Path,
    recoloured: int = 3,
    captions_each: int = 12,
    size: int = 256,
    related: Mapping[str, Sequence[str]] | None = None,
) -> StickerSet:
    """Reads the shards in `folder`, or `cache` if an earlier run has decoded the same.

    Args:
        folder: holds `*.tar` shards of RGBA pictures and JSON with `name` and, if known, `style`, `keywords`, `group`.
        cache: a folder for the decoded pictures; memory-mapped, so a large set need not fit in memory.
        recoloured: copies of every sticker with one clear colour, in other colours; at most 11.
        captions_each: caption variants of a picture.
        size: pixels a side.
        related: words that can stand for a name, by name, for its captions; lists, as in JSON.

    Raises:
        InputError: no shards, or a sample that cannot be used.
    """
    settings = {"recoloured": recoloured, "captions": captions_each, "size": size, "related": related or {}}
    settings["shards"] = fingerprint(folder, "*.tar")
    listing = cache / "stickers.json"
    if not is_current(listing, settings):
        _decode(folder, cache, settings)
    stickers = [
        Sticker(**{**fields, "captions": tuple(fields["captions"])})
        for fields in json.loads(listing.read_text())["stickers"]
    ]
    images = np.memmap(cache / "stickers.rgba", np.uint8, mode="c", shape=(len(stickers), size, size, 4))
    return StickerSet(torch.from_numpy(images), stickers)


def load_overlays(data: Path, cache: Path, size: int = 192) -> Tensor | None:
    """The stickers in `data`/stickers as they are laid over photos, (N, size, size, 4) of uint8; None without them.

    Raises:
        InputError: as `load_stickers`.
    """
    folder = data / "stickers"
    if not folder.is_dir():
        return None
    return load_stickers(folder, cache / "overlays", recoloured=0, captions_each=1, size=size).images


def _decode(folder: Path, cache: Path, settings: dict[str, Any]) -> None:
    """Decodes on threads, in order."""
    samples = read_shards(folder)
    stickers: list[dict[str, Any]] = []
    with refilled(cache / "stickers.json", "stickers.rgba") as (listing, (pictures,)), ThreadPoolExecutor() as pool:
        listing.update(settings=settings, stickers=stickers)
        while chunk := list(islice(samples, CHUNK)):
            for variants in pool.map(lambda sample: list(_variants(sample, settings)), chunk):
                for picture, sticker in variants:
                    pictures.write(picture.tobytes())
                    stickers.append(asdict(sticker))


def _variants(sample: Sample, settings: dict[str, Any]) -> Iterator[tuple[NDArray[np.uint8], Sticker]]:
    """The picture itself, then its recoloured copies; the same sample always gives the same ones."""
    source = random.Random(sample.key)
    image, record = _picture(sample, settings["size"]), sample.record
    region = dominant_region(image) if _may_change_colour(record) else None
    natural = region.name if region else None
    how = (settings["captions"], source, settings["related"].get(clean_name(record["name"]), ()))
    yield image, _sticker(record, captions(record, natural, False, *how), original=True)
    if region is not None:
        for colour in source.sample([name for name in COLOURS if name != natural], settings["recoloured"]):
            said = captions(record, colour, True, *how)
            yield recolour(image, region, colour), _sticker(record, said, original=False)


def _sticker(record: dict[str, Any], said: Sequence[str], original: bool) -> Sticker:
    text_like = any(word in record["name"].lower() for word in TEXT_LIKE)
    mirrorable = record.get("group") not in ("Symbols", "Flags") and not text_like
    return Sticker(record["name"], STYLES.index(record.get("style", STYLES[0])), tuple(said), mirrorable, original)


def _may_change_colour(record: dict[str, Any]) -> bool:
    return record.get("group") not in FIXED_COLOUR_GROUPS and record.get("skin_tone") is None


def _picture(sample: Sample, size: int) -> NDArray[np.uint8]:
    """Straight RGBA (size, size, 4). Raises InputError if the sample cannot be a sticker."""
    image = cv2.imdecode(np.frombuffer(sample.image, np.uint8), cv2.IMREAD_UNCHANGED)
    coloured = image is not None and image.ndim == 3 and image.dtype == np.uint8
    named = isinstance(sample.record.get("name"), str)
    if image is None or not coloured or not named or sample.record.get("style", STYLES[0]) not in STYLES:
        raise InputError(
            f"sample {sample.key} needs an 8-bit colour picture, a name and a style of: {', '.join(STYLES)}"
        )
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
    """Random batches of a set on the training device; pictures that take less than half of its memory live there."""

    def __init__(self, stickers: StickerSet, device: torch.device):
        self.images = stickers.images
        if device.type == "cuda" and self.images.nbytes < torch.cuda.get_device_properties(device).total_memory / 2:
            self.images = self.images.to(device)
        self.mirrorable = torch.tensor([sticker.mirrorable for sticker in stickers.stickers], device=device)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Indices (count,) and pictures (count, 4, H, W) from `premultiply`, slightly moved."""
        drawn = draw_indices(len(self.images), count, generator)
        pictures = premultiply(self.images[drawn.to(self.images.device)].to(generator.device))
        return drawn, jitter(pictures, self.mirrorable[drawn], generator)
