"""Takes away what nobody meant: islands and holes of a mask that are small, and islands that lie outside the box.

By outlines and not by labelled regions, which would take as long as the network that answers a click.
"""

import cv2
import numpy as np

__all__ = ["without_specks"]

SMALL = 0.01  # of the mask's area: a smaller island or hole is a speck, unless there is a click in it
PARENT = 3  # in what OpenCV tells of an outline: around which other one lies the hole; -1 for an island


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
    outlines, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    least = SMALL * np.count_nonzero(mask)
    parents = [] if tree is None else tree[0, :, PARENT].tolist()
    islands = {index for index, parent in enumerate(parents) if parent < 0}
    clicked = {index for index in islands if _holds(outlines[index], points[labels == 1])}
    gone = {index for index in islands - clicked if _cells(outlines[index], 1) < least}
    gone |= _outside({index: outlines[index] for index in islands}, points[labels >= 2]) - clicked
    holes = [outlines[index] for index, parent in enumerate(parents) if parent >= 0 and parent not in gone]
    filled = [each for each in holes if _cells(each, -1) < least and not _holds(each, points[labels == 0])]
    if not gone and not filled:
        return logits
    clean = mask.copy()
    cv2.drawContours(clean, [outlines[index] for index in gone], -1, 0, cv2.FILLED)
    cv2.drawContours(clean, filled, -1, 1, cv2.FILLED)
    return np.where(clean == mask, logits, -logits)


def _cells(outline: np.ndarray, side: int) -> float:
    """How many cells an island (side 1) or a hole (side -1) has, by Pick's theorem; islands with their holes."""
    return cv2.contourArea(outline) + side * len(outline) / 2 + 1


def _holds(outline: np.ndarray, points: np.ndarray) -> bool:
    return any(cv2.pointPolygonTest(outline, (round(x), round(y)), False) >= 0 for x, y in points.tolist())


def _outside(outlines: dict[int, np.ndarray], corners: np.ndarray) -> set[int]:
    """Which outlines have no part in the box between two corners; none if there is no box, or nothing in it."""
    if not len(corners):
        return set()
    (left, top), (right, bottom) = corners.tolist()
    outside = set()
    for index, outline in outlines.items():
        x, y, width, height = cv2.boundingRect(outline)
        if x > right or y > bottom or x + width - 1 < left or y + height - 1 < top:
            outside.add(index)
    return set() if len(outside) == len(outlines) else outside
