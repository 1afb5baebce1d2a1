"""Scores of masks: precision and recall of saliency, how well borders lie, and the next click. NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["boundary_f", "mean", "next_click", "saliency_scores"]

BETA_SQUARED = 0.3  # precision counts more, as is usual for saliency (Achanta et al. 2009, equation 8)
TOLERANCE = 0.008  # of the diagonal, that borders may lie apart (Perazzi et al. 2016, DAVIS)
Mask = NDArray[np.bool_]


def mean(values: Iterable[float]) -> float:
    """The mean of some scores, to four digits."""
    return round(float(np.mean(list(values))), 4)


def saliency_scores(
    probabilities: Sequence[NDArray[np.float32]], targets: Sequence[Mask], levels: int = 64
) -> dict[str, float]:
    """Over a set of pictures: `f_beta` at the best of `levels` thresholds, and `mae`, the mean absolute error."""
    thresholds = (np.arange(levels) + 0.5) / levels
    precision, recall, errors = np.zeros(levels), np.zeros(levels), []
    edges = np.append(thresholds, 2.0)
    for probability, target in zip(probabilities, targets, strict=True):
        errors.append(np.abs(probability - target).mean())
        hits, every = (_above(values, edges) for values in (probability[target], probability))
        precision += hits / np.maximum(every, 1)
        recall += hits / max(1, int(np.count_nonzero(target)))
    precision, recall = precision / len(targets), recall / len(targets)
    measure = (1 + BETA_SQUARED) * precision * recall / np.maximum(BETA_SQUARED * precision + recall, 1e-9)
    return {"f_beta": float(measure.max()), "mae": float(np.mean(errors))}


def _above(values: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many values are at least each of the edges but the last."""
    counts, _ = np.histogram(values, edges)
    return np.cumsum(counts[::-1])[::-1].astype(np.float64)


def boundary_f(mask: Mask, target: Mask) -> float:
    """F of two borders, each point of one counted as found if the other is near; 1 if there is neither."""
    reach = max(1, round(TOLERANCE * float(np.hypot(*mask.shape))))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    mine, theirs = _border(mask), _border(target)
    if not mine.any() and not theirs.any():
        return 1.0
    near_theirs, near_mine = (cv2.dilate(each, kernel) > 0 for each in (theirs, mine))
    precision = (near_theirs & (mine > 0)).sum() / max(1, int(mine.sum()))
    recall = (near_mine & (theirs > 0)).sum() / max(1, int(theirs.sum()))
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _border(mask: Mask) -> NDArray[np.uint8]:
    """Its outermost pixels; the frame of the picture is no border."""
    inside = mask.astype(np.uint8)
    return inside - cv2.erode(inside, np.ones((3, 3), np.uint8))


def next_click(mask: Mask, target: Mask, source: np.random.Generator | None = None) -> tuple[tuple[float, float], int]:
    """The next click: x and y in the deeper of what is missing (label 1) and what is too much (0), by exact distance.

    In its deepest place; with a `source` anywhere in it. Label -1 if the mask is right.
    """
    depths = [
        cv2.distanceTransform(np.pad(region.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        for region in (mask & ~target, target & ~mask)
    ]
    label = int(depths[1].max() >= depths[0].max())
    depth = depths[label]
    if depth.max() == 0:
        return (0.0, 0.0), -1
    if source is None:
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        y, x = np.argwhere(depth > 0)[source.integers(np.count_nonzero(depth))]
    return (float(x), float(y)), label
