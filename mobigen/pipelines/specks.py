"""Takes away what nobody meant: islands and holes of a mask that are small, or that lie outside the box."""

import cv2
import numpy as np

__all__ = ["without_specks"]

SMALL = 0.01  # of the mask's area: a smaller island or hole is a speck, unless there is a click in it


def without_specks(logits: np.ndarray, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A mask in whole pieces.

    Args:
        logits: float32 (h, w), above 0 on the object.
        points: (N, 2), x and y of cells in it; N may be 0.
        labels: (N,): 1 on the object, 0 beside it, 2 and 3 the corners of a box.

    Returns:
        The same logits, with the sign turned where there were specks.
    """
    mask = (logits > 0).astype(np.uint8)
    least = SMALL * np.count_nonzero(mask)
    specks = np.zeros(mask.shape, bool)
    for side, label in ((mask, 1), (1 - mask, 0)):
        _, regions, stats, _ = cv2.connectedComponentsWithStats(side, connectivity=4)
        small = stats[:, cv2.CC_STAT_AREA] < least
        if label:
            small |= _outside(stats, points[labels >= 2])
        small[0] = False  # what this side does not cover
        columns, rows = np.rint(points[labels == label]).astype(int).T
        small[regions[rows, columns]] = False
        if small.any():
            specks |= small[regions]
    return np.where(specks, -logits, logits)


def _outside(stats: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Which regions have no part in the box between two corners; none if there is no box, or nothing in it."""
    if not len(corners):
        return np.zeros(len(stats), bool)
    start = stats[:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]]
    end = start + stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] - 1
    outside = ((end < corners[0]) | (start > corners[1])).any(1)
    return outside & ~outside[1:].all()
