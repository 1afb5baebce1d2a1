"""Photos of any size as tensors: decoded once into a cache, then random crops of them, turned and mirrored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mobigen.data.cache import fingerprint, is_current, refilled
from mobigen.data.draw import draw_indices
from mobigen.data.resize import resize
from mobigen.data.shards import read_pictures
from mobigen.errors import InputError

__all__ = [
    "Crops", "PairSource", "Pairs", "PhotoCrops", "PhotoSet", "VariedCrops", "draw_pairs", "load_photos", "read_photos",
    "reduce", "with_margin",
]  # fmt: skip

CHUNK = 16  # photos decoded at once
MARGIN = 4  # small pixels around a crop, more than the cubic reads: so no border in a batch is made up


class Pairs(NamedTuple):
    """A batch of RGB in [0, 1]: `small` (B, 3, h, w), in steps of 1/255, and `large` (B, 3, scale * h, scale * w)."""

    small: Tensor
    large: Tensor


Reduction = Callable[[Tensor, int, torch.Generator], Tensor]  # large, scale, source of randomness -> small
PairSource = Callable[[int, torch.Generator], Pairs]  # count, source of randomness -> batch


@dataclass(frozen=True)
class PhotoSet:
    """Photos end to end: `pixels` (N, 3) of uint8 RGB, and the (height, width) of each in order."""

    pixels: Tensor
    sizes: Sequence[tuple[int, int]]


def read_photos(folder: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """The name and the pixels (H, W, 3), RGB, of every picture in a folder's shards, or else in the folder itself.

    Raises:
        InputError: there is none, or one cannot be decoded to 8-bit colour.
    """
    for name, encoded in read_pictures(folder):
        yield name, _decode(name, encoded)


def _decode(name: str, encoded: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"picture {name} cannot be decoded; take it out or save it again as PNG or JPEG")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def load_photos(folders: Sequence[Path], cache: Path, smallest: int = 1) -> PhotoSet:
    """Reads folders as `read_photos`, or `cache` if an earlier run has decoded the same.

    Args:
        folders: each holds `*.tar` shards with pictures, or pictures.
        cache: takes `photos.rgb`, memory-mapped, so that a large set need not fit in memory, and `photos.json`.
        smallest: pixels that a photo must have in height and in width; others are left out.

    Raises:
        InputError: as `read_photos`; or every photo is smaller.
    """
    listing = cache / "photos.json"
    settings = {"smallest": smallest, "files": [fingerprint(folder) for folder in folders]}
    if not is_current(listing, settings):
        _fill(folders, cache, settings)
    sizes = [(height, width) for height, width in json.loads(listing.read_text())["sizes"]]
    count = sum(height * width for height, width in sizes)
    pixels = np.memmap(cache / "photos.rgb", np.uint8, mode="c", shape=(count, 3))
    return PhotoSet(torch.from_numpy(pixels), sizes)


def _fill(folders: Sequence[Path], cache: Path, settings: dict[str, Any]) -> None:
    """Decodes on threads, in order."""
    encoded = chain.from_iterable(map(read_pictures, folders))
    sizes: list[tuple[int, ...]] = []
    with refilled(cache / "photos.json", "photos.rgb") as (listing, (pixels,)), ThreadPoolExecutor() as pool:
        listing.update(settings=settings, sizes=sizes)
        while chunk := list(islice(encoded, CHUNK)):
            for photo in pool.map(lambda each: _decode(*each), chunk):
                if min(photo.shape[:2]) >= settings["smallest"]:
                    pixels.write(photo.tobytes())
                    sizes.append(photo.shape[:2])
        if not sizes:
            places = ", ".join(map(str, folders))
            raise InputError(f"no photo in {places} has {settings['smallest']} pixels a side; add some that have")


class PhotoCrops:
    """Random squares of a set's photos on the training device, more of them where there is more to see.

    Skies and blurred grounds teach a network little, and are most of many photos: where a square lies is drawn by the
    detail of CELL x CELL pixels. Photos that take less than half of the device's memory live there.
    """

    CELL = 64
    FLAT = 0.01  # the detail of a cell without any; the mean step between neighbours, 1 from black to white

    def __init__(self, photos: PhotoSet, device: torch.device):
        pixels = photos.pixels
        if device.type == "cuda" and pixels.nbytes < torch.cuda.get_device_properties(device).total_memory / 2:
            pixels = pixels.to(device)
        areas = [height * width for height, width in photos.sizes]
        self.pixels = pixels  # (N, 3), photo after photo
        self.starts = torch.tensor([0, *areas[:-1]], device=device).cumsum(0)
        self.sizes = torch.tensor(photos.sizes, device=device)
        self.smallest = min(min(size) for size in photos.sizes)
        parts = zip(pixels.split(areas), photos.sizes, strict=True)
        found = [self._cells(index, part.unflatten(0, size)) for index, (part, size) in enumerate(parts)]
        self.cells = torch.cat([places for places, _ in found]).to(device)  # (M, 3): photo, top, left
        self.ends = torch.cat([detail for _, detail in found]).double().cumsum(0).to(device)

    def _cells(self, index: int, photo: Tensor) -> tuple[Tensor, Tensor]:
        """The cells of a photo, (M, 3) of its number, top and left, and the detail of each (M,)."""
        green = photo[..., 1].to(torch.float32) / 255
        steps = (green[1:, 1:] - green[:-1, 1:]).abs() + (green[1:, 1:] - green[1:, :-1]).abs()
        detail = F.avg_pool2d(steps[None, None], self.CELL, ceil_mode=True)[0, 0] + self.FLAT
        places = (torch.ones_like(detail).nonzero() * self.CELL).cpu()
        return torch.cat([torch.full((len(places), 1), index), places], dim=1), detail.flatten().cpu()

    def draw(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """`count` squares of `size` pixels a side: (count, 3, size, size) in [0, 1].

        Each is seen in one of the eight ways that a square can be turned and mirrored.

        Raises:
            InputError: a photo is smaller than that.
        """
        if self.smallest < size:
            raise InputError(f"a photo is {self.smallest} pixels wide or high; take out those with fewer than {size}")
        device = generator.device
        spot = torch.rand(count, generator=generator, device=device, dtype=torch.float64) * self.ends[-1]
        chosen = self.cells[torch.searchsorted(self.ends, spot, right=True)]  # (count, 3)
        whole, first = self.sizes[chosen[:, 0]], chosen[:, 1:]
        within = torch.rand(count, 2, generator=generator, device=device) * (whole - first).clamp(max=self.CELL)
        corner = (first + within.long() - size // 2).clamp(min=0).minimum(whole - size)
        rows, columns = _turned_square(size, draw_indices(8, count, generator))
        top, left = corner[:, :1, None], corner[:, 1:, None]
        width, start = whole[:, 1:, None], self.starts[chosen[:, 0]][:, None, None]
        places = start + (top + rows) * width + left + columns  # (count, size, size), all crops in one look-up
        crops = self.pixels[places.to(self.pixels.device)]
        return crops.to(device).permute(0, 3, 1, 2).float() / 255


class Crops(Protocol):
    """Where squares of photos come from."""

    def draw(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """`count` squares of `size` pixels a side: (count, 3, size, size) in [0, 1]."""


class VariedCrops:
    """Squares of few photos, made to look like those of more: some from smaller photos, half in other colours.

    A network of 400,000 weights learns 88 photos by heart; so varied, it does better on others (the same idea, with
    permuted and blended colours, in Yoo et al., arXiv 2004.00448). Still better it does with another two thousand
    photos of 0.1 megapixels, which have more to see in a square of the same size.
    """

    REDUCED = (1.0, 1.0, 1.5, 2.0)  # of which photos are reduced for a quarter of the squares each

    def __init__(self, crops: PhotoCrops, small: PhotoCrops | None = None):
        """`small`: of small photos, which are never reduced and give half of a batch; None where there are none."""
        self.crops, self.small = crops, small

    def draw(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """As `PhotoCrops.draw`, but that where photos are too small for it, they are reduced by less."""
        of_small = 0 if self.small is None else count // 2
        squares = [] if self.small is None else [self.small.draw(of_small, size, generator)]
        return _recoloured(torch.cat([*squares, *self._reduced(count - of_small, size, generator)]), generator)

    def _reduced(self, count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
        for quarter, factor in enumerate(self.REDUCED):
            share = len(range(quarter, count, len(self.REDUCED)))
            drawn = self.crops.draw(share, max(size, min(int(size * factor), self.crops.smallest)), generator)
            yield resize(drawn, size, size).clamp(0, 1) if drawn.shape[2] > size else drawn


def _recoloured(images: Tensor, generator: torch.Generator) -> Tensor:
    """(B, 3, H, W) in [0, 1], half of them with each colour a random blend of the three; and half of those inverted."""
    count, device = len(images), generator.device
    blends = torch.rand(count, 3, 3, generator=generator, device=device)
    blended = torch.einsum("bij,bjhw->bihw", blends / blends.sum(2, keepdim=True), images)
    changed, inverted = (torch.rand(2, count, 1, 1, 1, generator=generator, device=device) < 0.5).unbind()
    return torch.where(changed, torch.where(inverted, 1 - blended, blended), images)


def with_margin(size: int, scale: int) -> int:
    """Pixels a side of what is cut out of a photo for a pair whose small picture has `size`."""
    return (size + 2 * MARGIN) * scale


def draw_pairs(crops: Crops, size: int, scale: int, reduction: Reduction) -> PairSource:
    """Pairs whose small pictures have `size` pixels a side, made by `reduction` from crops somewhat larger."""

    def draw(count: int, generator: torch.Generator) -> Pairs:
        large = crops.draw(count, with_margin(size, scale), generator)
        cut, edge = slice(MARGIN, -MARGIN), slice(MARGIN * scale, -MARGIN * scale)
        return Pairs(reduction(large, scale, generator)[..., cut, cut], large[..., edge, edge])

    return draw


def reduce(large: Tensor, scale: int, generator: torch.Generator | None = None) -> Tensor:
    """(B, C, scale * h, scale * w) in [0, 1] -> (B, C, h, w): bicubic, in steps of 1/255; it draws nothing."""
    height, width = large.shape[2] // scale, large.shape[3] // scale
    return (resize(large, height, width).clamp(0, 1) * 255).round() / 255


def _turned_square(size: int, ways: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and columns (B, S, S) of the pixels of a square, seen in the symmetry of each of `ways` (B,), 0 to 7."""
    steps = torch.arange(size, device=ways.device)
    down, across = (torch.where((ways & bit > 0)[:, None], size - 1 - steps, steps) for bit in (1, 2))
    transposed = (ways & 4 > 0)[:, None, None]
    down, across = down[:, :, None].expand(-1, -1, size), across[:, None, :].expand(-1, size, -1)
    return torch.where(transposed, across, down), torch.where(transposed, down, across)
