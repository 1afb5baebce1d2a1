"""Drawn scenes for `mobigen evaluate cutout`: objects on drawn grounds and beside one another, and all objects at once.

They are made of held-out photos, and of stickers if there are any, and are the same whatever model is scored: two side
by side are one picture, of which once the one and once the other is meant. The model is asked through its pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mobigen.answers import iou
from mobigen.data.masks import MaskSet
from mobigen.data.scenes import BESIDE, MEANT_BESIDE, PLAIN, SceneBatches
from mobigen.errors import InputError
from mobigen.train.cutout_session import Predictor, session
from mobigen.train.segment_scores import mean

__all__ = ["Scene", "draw_scenes", "score_everything", "score_scenes"]

SCENES = {  # what is laid over a photo, and whether the photo's object is cut out
    "drawn_ground": (PLAIN, True),
    "beside": (BESIDE, False),
    "laid_beside": (MEANT_BESIDE, False),
}
GROUNDS = {"photo_ground": False, "drawn_ground": True}  # of two objects side by side, and whether one is cut out
COUNT = 48  # scenes of each of SCENES
PAIRS = 16  # scenes on each of GROUNDS
EVERY = 6  # one of so many photos is asked for everything
CLICKS = 2
FOUND = 0.7  # IoU above which an object is found
SMALLEST = 0.01  # of a picture, that must be seen of an object
CHUNK = 8  # scenes drawn at once
TRIES = 10  # times as many scenes as are wanted, after which it is given up
Mask = NDArray[np.bool_]


class Scene(NamedTuple):
    """A picture (S, S, 3), RGB, the object that is meant in it (S, S), and what else stands out (S, S)."""

    pixels: NDArray[np.uint8]
    meant: Mask
    others: Mask


def score_scenes(
    predictor: Predictor, photos: MaskSet, stickers: Tensor | None, count: int, report: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Scores of first masks and of clicks in the middle of what is wrong.

    Args:
        predictor: the pipeline.
        photos: held-out ones.
        stickers: (M, h, w, 4) of uint8, to be laid on too; None takes objects of the photos only.
        count: scenes of each of SCENES, at most COUNT.
        report: told a line whenever a kind is done.

    Returns:
        By kind: the number of `pictures`, the mean IoU of `first_mask` with all that stands out, and that of the object
        meant by clicks, `centre`.

    Raises:
        InputError: next to none of the photos show an object.
    """
    scores: dict[str, dict[str, Any]] = {}
    for name, (kind, cut_out) in SCENES.items():
        scenes = draw_scenes(photos, stickers, min(count, COUNT), kind, cut_out)
        scores[name] = _score(predictor, scenes)
        report(f"scenes, {name}: {scores[name]}")
    return scores


def score_everything(
    predictor: Predictor, photos: MaskSet, stickers: Tensor | None, count: int, report: Callable[[str], None]
) -> dict[str, dict[str, int]]:
    """How many objects are found where all are asked for: in scenes of two, and in one of EVERY photos of one.

    Arguments and errors are as of `score_scenes`, with PAIRS for COUNT.

    Returns:
        For each of GROUNDS and for `photos`: the numbers of `objects`, of those `found`, and of `masks` made in all.
    """
    scores: dict[str, dict[str, int]] = {}
    for name, cut_out in GROUNDS.items():
        scenes = draw_scenes(photos, stickers, min(count, PAIRS), BESIDE, cut_out)
        scores[name] = _count(predictor, [(each.pixels, (each.meant, each.others)) for each in scenes])
        report(f"everything, {name}: {scores[name]}")
    scores["photos"] = _count(predictor, list(_of_one(photos)))
    report(f"everything, photos: {scores['photos']}")
    return scores


def draw_scenes(photos: MaskSet, stickers: Tensor | None, count: int, kind: int, cut_out: bool) -> list[Scene]:
    """`count` scenes of a kind, always the same, in which every object can be seen; see `SceneBatches.draw_alike`.

    Raises:
        InputError: next to none of the photos show an object.
    """
    batches = SceneBatches(photos, stickers, torch.device("cpu"))  # the same with a GPU or without
    source = torch.Generator().manual_seed(0)
    scenes: list[Scene] = []
    for _ in range(-(-count * TRIES // CHUNK)):
        drawn = _scenes(batches, kind, cut_out, source)
        scenes += [each for each in drawn if _shows(each.meant) and (kind == PLAIN or _shows(each.others))]
        if len(scenes) >= count:
            return scenes[:count]
    raise InputError(
        f"{len(scenes)} of the {count} scenes wanted show their objects; give photos of larger ones, or --no-scenes"
    )


def _scenes(batches: SceneBatches, kind: int, cut_out: bool, source: torch.Generator) -> Iterator[Scene]:
    """CHUNK scenes, rounded to bytes as photos are, with masks of their size."""
    drawn = batches.draw_alike(CHUNK, kind, cut_out, source)
    pictures = drawn.image.round().to(torch.uint8).numpy()
    both = torch.cat([drawn.whole, drawn.salient - drawn.whole], 1)
    masks = F.interpolate(both, scale_factor=2.0, mode="bilinear", align_corners=False) > 0.5
    for pixels, (meant, others) in zip(pictures, masks.numpy(), strict=True):
        yield Scene(pixels, meant, others)


def _shows(mask: Mask) -> bool:
    """Whether an object is large enough to be meant."""
    return bool(mask.mean() >= SMALLEST)


def _score(predictor: Predictor, scenes: Sequence[Scene]) -> dict[str, Any]:
    """What `score_scenes` says of a kind."""
    firsts, sessions = [], []
    for scene in scenes:
        predictor.set_image(scene.pixels)
        firsts.append(iou(predictor.saliency()[0], scene.meant | scene.others))
        sessions.append([iou(mask, scene.meant) for mask in session(predictor, scene.meant, CLICKS)])
    centre = {str(clicks): mean(each[clicks - 1] for each in sessions) for clicks in range(1, CLICKS + 1)}
    return {"pictures": len(scenes), "first_mask": mean(firsts), "centre": centre}


def _count(predictor: Predictor, pictures: Sequence[tuple[NDArray[np.uint8], Sequence[Mask]]]) -> dict[str, int]:
    """Of pictures (H, W, 3) and the objects (H, W) in each."""
    counts = {"objects": 0, "found": 0, "masks": 0}
    for pixels, objects in pictures:
        predictor.set_image(pixels)
        masks = [each["segmentation"] for each in predictor.everything()]
        counts["objects"] += len(objects)
        counts["found"] += sum(any(iou(mask, each) > FOUND for mask in masks) for each in objects)
        counts["masks"] += len(masks)
    return counts


def _of_one(photos: MaskSet) -> Iterator[tuple[NDArray[np.uint8], Sequence[Mask]]]:
    """One of EVERY photos, without padding, and the whole of its label map, which is one object."""
    for index in range(0, len(photos.keys), EVERY):
        height, width = photos.sizes[index].tolist()
        labels = photos.labels[index, :height, :width].numpy()
        yield photos.images[index, :height, :width].numpy(), [labels > 0]
