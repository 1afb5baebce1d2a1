"""How prompts are answered besides what the network says: by the first mask, the mask so far, and the box.

The first mask knows an object's edge better than one click does. Where several objects stand out the click chooses one:
the regions of the first mask that its own answer leaves out are the others. A further click corrects what is there
already: of masks that are expected to be about as good, the one that is most like it is meant. The network is shown
that mask less sure than it was, since the click says that it is wrong. Who draws a box draws it around what is meant:
of masks that are expected to be about as good, the one that fills it and nothing else.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["AGREEMENT", "DOUBT", "SURENESS", "best_answer", "iou", "with_first_mask"]

AGREEMENT = 0.7  # IoU
SURENESS = 2.0  # factor of the first mask's logits, which are timid, where a click has agreed with it
DOUBT = 0.5  # factor of the logits of a mask that is corrected
CONTINUITY = 0.15  # of expected IoU, what being just like the mask so far is worth
FIT = 0.4  # likewise what filling the box is worth


def with_first_mask(alone: NDArray[np.float32], first: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a first click is answered together with: the first mask without other objects, or nothing.

    Args:
        alone: logits (h, w) of the answer to the click alone.
        first: logits (h, w) of the first mask.

    Returns:
        Logits (h, w): the first mask's, made surer, with the regions that `alone` leaves out taken away. Zeros if what
        is left of it is not much the same as `alone`.
    """
    found, salient = alone > 0, first > 0
    chosen = _chosen(salient, found)
    if not chosen.any() or iou(found, chosen) < AGREEMENT:
        return np.zeros_like(first)
    return np.where(salient & ~chosen, -SURENESS, SURENESS).astype(np.float32) * first


def _chosen(salient: NDArray[np.bool_], found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The regions of `salient` (h, w) half of which, or more, are in `found`."""
    _, regions = cv2.connectedComponents(salient.astype(np.uint8))
    numbers = regions.ravel()
    covered = 2 * np.bincount(numbers, found.ravel()) >= np.bincount(numbers)
    return covered[regions] & salient


def best_answer(
    masks: NDArray[np.bool_],
    expected: NDArray[np.float32],
    before: NDArray[np.bool_] | None = None,
    corners: NDArray[np.floating] | None = None,
) -> int:
    """Which of several answers is meant.

    Args:
        masks: (C, H, W).
        expected: IoU of each, (C,), as the network gives it.
        before: the mask (H, W) that a click corrects; None for a first click or box.
        corners: x and y of the first and the last corner of the box (2, 2), in cells of the masks; None without one.
    """
    likeness = 0.0 if before is None else np.array([iou(mask, before) for mask in masks])
    fit = 0.0 if corners is None else np.array([_fit(mask, corners) for mask in masks])
    return int(np.argmax(expected + CONTINUITY * likeness + FIT * fit))


def _fit(mask: NDArray[np.bool_], corners: NDArray[np.floating]) -> float:
    """The lesser of two shares: of a mask (H, W), what lies in a box; of the box, what that reaches across and down."""
    (left, top), (right, bottom) = np.floor(corners[0]).astype(int), np.ceil(corners[1]).astype(int) + 1
    inside = mask[max(top, 0) : bottom, max(left, 0) : right]
    if not inside.any():
        return 0.0
    height, width = (np.ptp(np.flatnonzero(inside.any(axis))) + 1 for axis in (1, 0))
    return float(min(np.count_nonzero(inside) / np.count_nonzero(mask), height * width / inside.size))


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks of one shape; 1 if both are empty."""
    either = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / either if either else 1.0
