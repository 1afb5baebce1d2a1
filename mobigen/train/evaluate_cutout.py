"""`mobigen evaluate cutout`: masks after simulated clicks, saliency, whole objects and borders, on what is held out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobigen.answers import iou
from mobigen.data.masks import MaskSet, load_masks
from mobigen.data.stickers import load_overlays
from mobigen.errors import InputError
from mobigen.media import contact_sheet
from mobigen.train.cutout_session import Predictor, session
from mobigen.train.scene_scores import score_everything, score_scenes
from mobigen.train.segment_scores import boundary_f, mean, saliency_scores

__all__ = ["CLICKS", "evaluate_cutout"]

CLICKS = (1, 2, 3, 5)  # after which masks are scored
WHOLE = 0.85  # IoU from which a click on a part has found the whole
GARMENTS = 3  # of a person at most, the largest
NO_GARMENT = ("skin", "hair", "null")
SHOWN = 12  # pictures of each kind on the sheet
SIDE = 256  # pixels of each there
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Photo:
    """One held-out picture (H, W, 3), its label map (H, W), what labels are called, and which are there."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    names: dict[int, str]
    present: list[int]

    @property
    def whole(self) -> Mask:
        return self.labels > 0

    @property
    def garments(self) -> list[Mask]:
        """The largest things that are worn or carried, of a map with parts."""
        worn = [self.labels == each for each in self.present if self.names.get(each) not in NO_GARMENT]
        return sorted(worn, key=lambda part: -np.count_nonzero(part))[:GARMENTS] if len(self.present) > 1 else []


class Garment(NamedTuple):
    """IoU of what a click on a garment finds with the whole; and with the garment by a box, or by one more click."""

    whole: float
    by_box: float
    by_second_click: float


class Answers(NamedTuple):
    """What the model made of a photo.

    first: probabilities (H, W) of the first mask. clicked: the mask (H, W) after a click. centre, random: IoU with the
    whole after each of so many clicks, in the middle of what is wrong, or anywhere in it.
    """

    first: NDArray[np.float32]
    clicked: Mask
    centre: list[float]
    random: list[float]
    garments: list[Garment]


def evaluate_cutout(
    data: Path,
    weights: Path,
    out: Path,
    report: Callable[[str], None],
    open_predictor: Callable[[Path], Predictor],
    samples: int = 400,
    scenes: bool = True,
) -> dict[str, Any]:
    """Scores the cutout model on pictures that it never trained on; writes `scores.json` and `samples.png` into `out`.

    Args:
        data: as in training; holds `masks/*.tar`, and perhaps `stickers/*.tar`.
        weights: a folder of components, like weights/cutout.
        out: for the results, and the cache of decoded photos and stickers.
        report: told a line whenever a part is done.
        open_predictor: the pipeline of such a folder.
        samples: photos at most; and scenes of each kind, of which there are at most 48.
        scenes: whether scenes are scored, and everything.

    Returns:
        `single` (maps of one label) and `parts` (maps with parts), each with the number of `pictures`, mean IoU by
        clicks for `centre` and `random` ones, `boundary_f` after one click, and `saliency`; for `parts` also
        `whole_object_rate`, and the mean IoU of a part reached by `part_by_box` and `part_by_second_click`.
        With `scenes` also `scenes` and `everything`, see `score_scenes` and `score_everything`.

    Raises:
        InputError: no sample is held out, too few show an object, or the shards cannot be read.
        WeightsError: a component is missing or damaged.
    """
    predictor = open_predictor(weights)
    folder = data / "masks"
    masks = load_masks(folder if folder.is_dir() else data, out / "cache", predictor.image_size)
    _, held = masks.split()
    if not held.keys:
        raise InputError(f"of the {len(masks.keys)} samples in {data} none is held out; give more")
    order = np.random.default_rng(0).permutation(len(held.keys))[:samples]
    held = held.subset(sorted(order.tolist()))
    groups: dict[str, list[Photo]] = {"single": [], "parts": []}
    for photo in photos_of(held):
        groups["parts" if len(photo.present) > 1 else "single"].append(photo)
    scores: dict[str, Any] = {}
    shown: list[tuple[Photo, Answers]] = []
    for name, photos in groups.items():
        if photos:
            source = np.random.default_rng(1)
            answers = [ask(predictor, photo, source) for photo in photos]
            scores[name] = _score(photos, answers)
            shown += list(zip(photos, answers, strict=True))[:SHOWN]
            report(f"{name}: {scores[name]}")
    _write_samples(shown, out)
    if scenes:
        asked = (predictor, held, load_overlays(data, out / "cache"), samples, report)
        scores |= {"scenes": score_scenes(*asked), "everything": score_everything(*asked)}
    (out / "scores.json").write_text(json.dumps(scores, indent=2))
    return scores


def photos_of(masks: MaskSet) -> Iterator[Photo]:
    """Each picture of a set, without its padding."""
    for index in range(len(masks.keys)):
        height, width = masks.sizes[index].tolist()
        pixels, labels = (each[index, :height, :width].numpy() for each in (masks.images, masks.labels))
        yield Photo(pixels, labels, masks.names[index], masks.present[index].nonzero().flatten().tolist())


def ask(predictor: Predictor, photo: Photo, source: np.random.Generator) -> Answers:
    """All that is asked of a photo; clicks anywhere are drawn from `source`."""
    predictor.set_image(photo.pixels)
    logits, _ = predictor.saliency(return_logits=True)
    centre, anywhere = (list(session(predictor, photo.whole, max(CLICKS), each)) for each in (None, source))
    return Answers(
        first=1 / (1 + np.exp(-logits)),
        clicked=centre[0],
        centre=[iou(mask, photo.whole) for mask in centre],
        random=[iou(mask, photo.whole) for mask in anywhere],
        garments=[_ask_garment(predictor, photo.whole, part) for part in photo.garments],
    )


def _ask_garment(predictor: Predictor, whole: Mask, part: Mask) -> Garment:
    clicked, corrected = session(predictor, part, 2)
    boxed, _, _ = predictor.predict(box=_box(part), multimask_output=False)
    return Garment(iou(clicked, whole), iou(boxed[0], part), iou(corrected, part))


def _box(part: Mask) -> list[float]:
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    return [float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1])]


def _score(photos: Sequence[Photo], answers: Sequence[Answers]) -> dict[str, Any]:
    """Overlap by clicks, borders and saliency, and whether garments lead to the whole and can still be had."""
    wholes = [photo.whole for photo in photos]
    result: dict[str, Any] = {"pictures": len(photos)}
    for name in ("centre", "random"):
        result[name] = {str(count): mean(getattr(each, name)[count - 1] for each in answers) for count in CLICKS}
    result["boundary_f"] = mean(boundary_f(each.clicked, whole) for each, whole in zip(answers, wholes, strict=True))
    found = saliency_scores([each.first for each in answers], wholes)
    result["saliency"] = {name: round(value, 4) for name, value in found.items()}
    if garments := [garment for each in answers for garment in each.garments]:
        result["whole_object_rate"] = mean(each.whole > WHOLE for each in garments)
        result["part_by_box"] = mean(each.by_box for each in garments)
        result["part_by_second_click"] = mean(each.by_second_click for each in garments)
    return result


def _write_samples(shown: Sequence[tuple[Photo, Answers]], out: Path) -> None:
    """Each picture as its first mask and as a click cut it out."""
    pictures, labels = [], []
    for photo, answers in shown:
        for mask, label in ((answers.first > 0.5, "no click"), (answers.clicked, "one click")):
            pictures.append(_on_square(photo.pixels, mask))
            labels.append(f"{label}, IoU {iou(mask, photo.whole):.2f}")
    out.mkdir(parents=True, exist_ok=True)
    contact_sheet(pictures, labels, columns=8).save(out / "samples.png")


def _on_square(pixels: NDArray[np.uint8], mask: Mask) -> Image.Image:
    """What a mask keeps, faint elsewhere, on a square of SIDE."""
    faded = np.dstack([pixels, np.where(mask, np.uint8(255), np.uint8(40))])
    square = np.zeros((max(mask.shape), max(mask.shape), 4), np.uint8)
    square[: pixels.shape[0], : pixels.shape[1]] = faded
    return Image.fromarray(square).resize((SIDE, SIDE))
