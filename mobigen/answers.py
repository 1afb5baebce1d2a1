"""How clicks are answered besides what the network says: with the first mask, and with the mask so far.

The first mask knows an object's edge better than one click does. Where several objects stand out the click chooses one,
and its answer without the first mask is then far from it. A further click corrects what is there already: of masks that
are expected to be about as good, the one that is most like it is meant.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["AGREEMENT", "SURENESS", "best_answer", "iou", "means_first_mask"]

AGREEMENT = 0.7  # IoU
SURENESS = 2.0  # factor of the first mask's logits, which are timid, where a click has agreed with it
CONTINUITY = 0.15  # of expected IoU, what being just like the mask so far is worth


def means_first_mask(found: NDArray[np.bool_], first: NDArray[np.bool_]) -> bool:
    """Whether `found` (H, W), the answer to a click alone, is much the same as the mask `first` (H, W)."""
    return bool(iou(found, first) >= AGREEMENT)


def best_answer(
    masks: NDArray[np.bool_], expected: NDArray[np.float32], before: NDArray[np.bool_] | None = None
) -> int:
    """Which of several answers is meant.

    Args:
        masks: (C, H, W).
        expected: IoU of each, (C,), as the network gives it.
        before: the mask (H, W) that a click corrects; None for a first click or box.
    """
    likeness = 0.0 if before is None else np.array([iou(mask, before) for mask in masks])
    return int(np.argmax(expected + CONTINUITY * likeness))


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks of one shape; 1 if both are empty."""
    either = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / either if either else 1.0
