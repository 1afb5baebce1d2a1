"""`mobigen evaluate cutout`: masks after simulated clicks, saliency, whole objects and borders, on what is held out.

And on scenes drawn of it, as `mobigen.train.scene_scores` has them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mobigen.answers import DOUBT, best_answer, iou, with_first_mask
from mobigen.data.masks import MaskSet, load_masks
from mobigen.data.stickers import load_overlays
from mobigen.errors import InputError
from mobigen.media import contact_sheet
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.train.scene_scores import Predictor, score_everything, score_scenes
from mobigen.train.segment_scores import boundary_f, mean, next_click, saliency_scores

__all__ = ["CLICKS", "evaluate_cutout"]

CLICKS = (1, 2, 3, 5)  # after which masks are scored
WHOLE = 0.85  # IoU from which a click on a part has found the whole
NO_GARMENT = ("skin", "hair", "null")
SHOWN = 24  # pictures on the sheet
Mask = NDArray[np.bool_]
Click = tuple[tuple[float, float], int]


@dataclass
class Photo:
    """One held-out picture, its features, and how much of the square it takes."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    names: dict[int, str]
    features: tuple[Tensor, ...]
    first: Tensor  # the first mask's logits (1, 1, s, s)
    saliency: NDArray[np.float32]  # its probability
    present: list[int]

    @property
    def whole(self) -> Mask:
        return self.labels > 0

    @property
    def garments(self) -> list[int]:
        """Labels that are worn or carried, the largest first."""
        worn = [each for each in self.present if self.names.get(each) not in NO_GARMENT]
        return sorted(worn, key=lambda each: -np.count_nonzero(self.labels == each)) if len(self.present) > 1 else []


class Judge:
    """The networks on one device, asked as a person would."""

    def __init__(self, weights: Path, device: torch.device):
        """Reads the components. Raises WeightsError."""
        self.encoder = ImageEncoder.from_pretrained(weights / ImageEncoder.component).to(device)
        self.decoder = ClickDecoder.from_pretrained(weights / ClickDecoder.component).to(device)
        self.device = device

    @torch.no_grad()
    def photos(self, masks: MaskSet) -> Iterator[Photo]:
        """Each picture of a set, encoded."""
        for index in range(len(masks.keys)):
            *features, saliency = self.encoder(masks.images[index : index + 1].to(self.device))
            height, width = masks.sizes[index].tolist()
            labels = masks.labels[index, :height, :width].numpy()
            present = masks.present[index].nonzero().flatten().tolist()
            probability = self._full(torch.sigmoid(saliency), labels.shape)
            pixels = masks.images[index, :height, :width].numpy()
            yield Photo(pixels, labels, masks.names[index], tuple(features), saliency, probability, present)

    @torch.no_grad()
    def answer(self, photo: Photo, clicks: Sequence[Click], logits: Tensor | None) -> tuple[Mask, Tensor]:
        """The mask after `clicks` (box corners have labels 2 and 3), and its logits; `logits` are of the one before.

        As in the pipeline, a first click that means what stands out goes with the first mask.
        """
        if logits is not None:
            return self._decode(photo, clicks, DOUBT * logits, corrects=True)
        nothing = torch.zeros_like(photo.first)
        first_mask = self._with_first_mask(photo, clicks[0], nothing) if len(clicks) == 1 else nothing
        return self._decode(photo, clicks, first_mask)

    def _with_first_mask(self, photo: Photo, click: Click, nothing: Tensor) -> Tensor:
        (x, y), _ = click
        if photo.first[0, 0, int(y) // 2, int(x) // 2] <= 0:
            return nothing
        alone = self._decode(photo, [click], nothing)[1]
        both = (each[0, 0].float().cpu().numpy() for each in (alone, photo.first))
        return torch.from_numpy(with_first_mask(*both)).to(nothing)[None, None]

    def _decode(
        self, photo: Photo, clicks: Sequence[Click], logits: Tensor, corrects: bool = False
    ) -> tuple[Mask, Tensor]:
        places = torch.zeros(1, self.decoder.points, 2, device=self.device)
        labels = torch.full((1, self.decoder.points), -1, dtype=torch.int32, device=self.device)
        for index, (place, label) in enumerate(clicks):
            places[0, index], labels[0, index] = torch.tensor(place), label
        masks, expected = self.decoder(*photo.features, places, labels, logits)
        before = (logits[0, 0] > 0).cpu().numpy() if corrects else None
        best = best_answer((masks[0] > 0).cpu().numpy(), expected[0].cpu().numpy(), before, _corners(clicks))
        return self._full(masks[:, best : best + 1], photo.labels.shape) > 0, masks[:, best : best + 1]

    def _full(self, values: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """(1, 1, s, s) -> what the photo takes of the square, `shape`."""
        scaled = F.interpolate(values.float(), scale_factor=2.0, mode="bilinear", align_corners=False)
        return scaled[0, 0, : shape[0], : shape[1]].cpu().numpy()

    def session(self, photo: Photo, target: Mask, count: int, source: np.random.Generator | None) -> list[Mask]:
        """The masks after each of `count` clicks towards `target`: in the middle of errors; with `source`, anywhere."""
        mask, logits, clicks, masks = np.zeros_like(target), None, [], []
        for _ in range(count):
            clicks.append(next_click(mask, target, source))
            mask, logits = self.answer(photo, clicks, logits)
            masks.append(mask)
        return masks


def evaluate_cutout(
    data: Path,
    weights: Path,
    out: Path,
    report: Callable[[str], None],
    samples: int = 400,
    open_predictor: Callable[[Path], Predictor] | None = None,
) -> dict[str, Any]:
    """Scores the cutout model on pictures that it never trained on; writes `scores.json` and `samples.png` into `out`.

    Args:
        data: as in training; holds `masks/*.tar`, and perhaps `stickers/*.tar`.
        weights: a folder of components, like weights/cutout.
        out: for the results, and the cache of decoded photos and stickers.
        report: told a line whenever a part is done.
        samples: photos at most; and scenes of each kind, of which there are at most 48.
        open_predictor: the pipeline of such a folder, to be asked about scenes; None leaves them out.

    Returns:
        `single` (maps of one label) and `parts` (maps with parts), each with the number of `pictures`, mean IoU by
        clicks for `centre` and `random` ones, `boundary_f` after one click, and `saliency`; for `parts` also
        `whole_object_rate`, and the mean IoU of a part reached by `part_by_box` and `part_by_second_click`.
        With `open_predictor` also `scenes` and `everything`, see `score_scenes` and `score_everything`.

    Raises:
        InputError: no sample is held out, too few show an object, or the shards cannot be read.
        WeightsError: a component is missing or damaged.
    """
    judge = Judge(weights, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    folder = data / "masks"
    masks = load_masks(folder if folder.is_dir() else data, out / "cache", judge.encoder.image_size)
    _, held = masks.split()
    if not held.keys:
        raise InputError(f"of the {len(masks.keys)} samples in {data} none is held out; give more")
    order = np.random.default_rng(0).permutation(len(held.keys))[:samples]
    held = held.subset(sorted(order.tolist()))
    groups: dict[str, list[Photo]] = {"single": [], "parts": []}
    for photo in judge.photos(held):
        groups["parts" if len(photo.present) > 1 else "single"].append(photo)
    scores: dict[str, Any] = {}
    for name, photos in groups.items():
        if photos:
            scores[name] = _score(judge, photos) | (_score_parts(judge, photos) if name == "parts" else {})
            report(f"{name}: {scores[name]}")
    if open_predictor is not None:
        asked = (open_predictor(weights), held, load_overlays(data, out / "cache"), samples, report)
        scores |= {"scenes": score_scenes(*asked), "everything": score_everything(*asked)}
    _write_samples(judge, [*groups["single"][: SHOWN // 2], *groups["parts"][: SHOWN // 2]], out)
    (out / "scores.json").write_text(json.dumps(scores, indent=2))
    return scores


def _score(judge: Judge, photos: Sequence[Photo]) -> dict[str, Any]:
    """Overlap by clicks, borders and saliency."""
    result: dict[str, Any] = {"pictures": len(photos)}
    for name, source in (("centre", None), ("random", np.random.default_rng(1))):
        sessions = [judge.session(photo, photo.whole, max(CLICKS), source) for photo in photos]
        result[name] = {
            str(count): mean(iou(each[count - 1], photo.whole) for each, photo in zip(sessions, photos, strict=True))
            for count in CLICKS
        }
        if source is None:
            pairs = zip(sessions, photos, strict=True)
            result["boundary_f"] = mean(boundary_f(each[0], photo.whole) for each, photo in pairs)
    found = saliency_scores([photo.saliency for photo in photos], [photo.whole for photo in photos])
    result["saliency"] = {name: round(value, 4) for name, value in found.items()}
    return result


def _score_parts(judge: Judge, photos: Sequence[Photo]) -> dict[str, float]:
    """Whether a click on a garment finds the person, and whether the garment itself can still be had."""
    wholes, boxes, seconds = [], [], []
    for photo in photos:
        for label in photo.garments[:3]:
            part = photo.labels == label
            first = next_click(np.zeros_like(part), part)
            mask, logits = judge.answer(photo, [first], None)
            wholes.append(iou(mask, photo.whole) > WHOLE)
            boxed, _ = judge.answer(photo, _box(part), None)
            boxes.append(iou(boxed, part))
            corrected, _ = judge.answer(photo, [first, next_click(mask, part)], logits)
            seconds.append(iou(corrected, part))
    return {
        "whole_object_rate": mean(wholes),
        "part_by_box": mean(boxes),
        "part_by_second_click": mean(seconds),
    }


def _corners(clicks: Sequence[Click]) -> NDArray[np.float64] | None:
    """Of the box among the clicks (2, 2), in cells of a mask; None without one."""
    corners = [place for place, label in clicks if label > 1]
    return (np.array(corners) + 0.5) / 2 - 0.5 if corners else None


def _box(part: Mask) -> list[Click]:
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    return [((float(columns[0]), float(rows[0])), 2), ((float(columns[-1]), float(rows[-1])), 3)]


def _write_samples(judge: Judge, photos: Sequence[Photo], out: Path) -> None:
    """Each picture as its first mask and as a click cut it out."""
    shown, labels = [], []
    for photo in photos:
        (clicked,) = judge.session(photo, photo.whole, 1, None)
        for mask, label in ((photo.saliency > 0.5, "no click"), (clicked, "one click")):
            shown.append(_on_square(photo.pixels, mask, judge.encoder.image_size // 2))
            labels.append(f"{label}, IoU {iou(mask, photo.whole):.2f}")
    out.mkdir(parents=True, exist_ok=True)
    contact_sheet(shown, labels, columns=8).save(out / "samples.png")


def _on_square(pixels: NDArray[np.uint8], mask: Mask, side: int) -> Image.Image:
    """What a mask keeps, faint elsewhere, on a square."""
    faded = np.dstack([pixels, np.where(mask, np.uint8(255), np.uint8(40))])
    square = np.zeros((2 * side, 2 * side, 4), np.uint8)
    square[: pixels.shape[0], : pixels.shape[1]] = faded
    return Image.fromarray(square).resize((side, side))
