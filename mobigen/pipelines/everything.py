"""All objects of a photo: a grid of clicks, and of the masks that answer them, the sure and different ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mobigen.errors import InputError

__all__ = ["Candidate", "agreement", "grid", "keep_different", "record", "run_lengths", "stability"]

MARGIN = 1.0  # of logits, by which a stable mask may be moved
ALIKE = 0.7  # IoU from which the answers to two clicks are one object


@dataclass(frozen=True)
class Candidate:
    """The mask that answers a click of the grid: logits (h, w), the click (x, y), and its scores."""

    logits: np.ndarray
    click: tuple[float, float]
    iou: float
    stability: float
    agreement: float


def grid(height: int, width: int, side: int) -> Iterator[tuple[float, float]]:
    """Places x, y at the centres of `side` cells along the longer side of a photo, and square cells.

    Raises:
        InputError: `side` is not from 1 to 64.
    """
    if not 1 <= side <= 64:
        raise InputError(f"points_per_side is {side}; accepted: 1 to 64")
    cell = max(height, width) / side
    rows, columns = max(1, round(height / cell)), max(1, round(width / cell))
    for row in range(rows):
        for column in range(columns):
            yield (column + 0.5) * width / columns - 0.5, (row + 0.5) * height / rows - 0.5


def stability(logits: np.ndarray) -> float:
    """IoU of the mask cut a little above and a little below its threshold, as SAM scores it; 0 for no mask."""
    outer = np.count_nonzero(logits > -MARGIN)
    return np.count_nonzero(logits > MARGIN) / outer if outer else 0.0


def agreement(masks: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """How many of the clicks in a mask mean it too: an object is found from wherever it is clicked on.

    Args:
        masks: (N, h, w) of bool, the answer to each click.
        cells: (N, 2), x and y of each click in cells of a mask.

    Returns:
        (N,): of the clicks in each mask, the share whose answer has an IoU of ALIKE or more with it; 0 without any.
    """
    height, width = masks.shape[1:]
    x, y = cells.round().astype(int).clip(0, (width - 1, height - 1)).T
    inside = masks[:, y, x]
    agreed = inside & (_overlaps(masks) >= ALIKE)
    return agreed.sum(1) / np.maximum(inside.sum(1), 1)


def keep_different(candidates: list[Candidate], overlap: float) -> list[Candidate]:
    """The best first, and none whose IoU with a better one is above `overlap`."""
    ordered = sorted(candidates, key=lambda each: -each.iou * each.agreement)
    if not ordered:
        return []
    overlaps = _overlaps(np.stack([each.logits > 0 for each in ordered]))
    kept: list[int] = []
    for index in range(len(ordered)):
        if not kept or overlaps[index, kept].max() <= overlap:
            kept.append(index)
    return [ordered[index] for index in kept]


def _overlaps(masks: np.ndarray) -> np.ndarray:
    """IoU of each of N masks (N, h, w) with each other: (N, N)."""
    flat = masks.reshape(len(masks), -1).astype(np.float32)
    areas, shared = flat.sum(1), flat @ flat.T
    return shared / np.maximum(areas[:, None] + areas[None] - shared, 1)


def record(candidate: Candidate, restore: Callable[[np.ndarray], np.ndarray]) -> dict[str, Any]:
    """A mask with the fields of SAM's automatic generator; `restore` brings logits to the photo's size."""
    mask = restore(candidate.logits) > 0
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = mask.shape
    box = [0, 0, 0, 0]
    if len(rows):
        box = [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]
    return {
        "segmentation": mask,
        "area": int(mask.sum()),
        "bbox": box,  # x, y, width, height
        "predicted_iou": candidate.iou,
        "point_coords": [list(candidate.click)],
        "stability_score": candidate.stability,
        "crop_box": [0, 0, width, height],
    }


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """A mask (H, W) of bool as COCO's uncompressed run lengths: down the columns, zeros first."""
    flat = mask.T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    ends = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(ends).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}
