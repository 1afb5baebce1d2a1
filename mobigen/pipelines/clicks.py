"""What clicks, boxes and masks may be, as arguments of the cutout pipeline."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mobigen.errors import InputError

__all__ = ["Prompt", "check_box", "check_clicks", "check_mask", "check_photo", "thin_stroke"]

Prompt = tuple[np.ndarray, np.ndarray]  # points (N, 2) and labels (N,)
CLICKS = (0, 1)  # beside the object, on it


def check_photo(image: Any) -> np.ndarray:
    """A photo as RGB.

    Raises:
        InputError: it is not uint8 of shape (H, W, 3).
    """
    found = np.asarray(image)
    if found.dtype != np.uint8 or found.ndim != 3 or found.shape[2] != 3 or 0 in found.shape:
        raise InputError(f"the photo is {found.dtype} {found.shape}; accepted: uint8 (height, width, 3) in RGB order")
    return found


def check_clicks(points: Any, labels: Any, size: tuple[int, int]) -> Prompt:
    """Clicks inside a photo of `size` (height, width): points (N, 2) of float, labels (N,) of int; N may be 0.

    Raises:
        InputError: other shapes or labels, a click outside the photo, or two that contradict each other.
    """
    if points is None and labels is None:
        return np.zeros((0, 2)), np.zeros(0, np.int32)
    try:
        places, kinds = np.asarray(points, np.float64), np.asarray(labels, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("clicks are not numbers; give point_coords (N, 2), x and y, and point_labels (N,)") from error
    if places.ndim != 2 or places.shape[1:] != (2,) or kinds.shape != places.shape[:1]:
        raise InputError(
            f"point_coords are {places.shape} and point_labels {kinds.shape}; accepted: (N, 2), x and y, and (N,)"
        )
    strange = set(kinds.tolist()) - set(CLICKS)
    if strange:
        raise InputError(f"a click has the label {strange.pop():g}; accepted: 1 on the object, 0 beside it")
    _check_inside(places, size)
    _check_agreement(places, kinds)
    return places, kinds.astype(np.int32)


def _check_inside(places: np.ndarray, size: tuple[int, int]) -> None:
    height, width = size
    for x, y in places:
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(
                f"the click {x:g},{y:g} is outside the photo; accepted: 0,0 to {width - 1},{height - 1} (x,y)"
            )


def _check_agreement(places: np.ndarray, kinds: np.ndarray) -> None:
    beside = {tuple(np.round(place)) for place in places[kinds == 0]}
    for place in places[kinds == 1]:
        if tuple(np.round(place)) in beside:
            x, y = place
            raise InputError(f"{x:g},{y:g} is clicked as the object and as not the object; leave one of them out")


def check_box(box: Any, size: tuple[int, int]) -> Prompt:
    """A box x0, y0, x1, y1, cut to the photo, as two points with labels 2 and 3; (4,) or (1, 4), as SAM takes it.

    Raises:
        InputError: other shapes, no area, or nothing of it inside the photo.
    """
    if box is None:
        return np.zeros((0, 2)), np.zeros(0, np.int32)
    try:
        sides = np.asarray(box, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("the box is not numbers; give x0, y0, x1, y1") from error
    if sides.shape not in ((4,), (1, 4)):
        raise InputError(f"the box has the shape {sides.shape}; accepted: (4,), x0, y0, x1, y1")
    corners, (height, width) = sides.reshape(2, 2), size
    shown = ",".join(f"{each:g}" for each in sides.ravel())
    if not (corners[0] < corners[1]).all():
        raise InputError(f"the box {shown} has no area; accepted: x0,y0,x1,y1 with x0 < x1 and y0 < y1")
    last = np.array([width - 1, height - 1])
    if (corners[0] > last).any() or (corners[1] < 0).any():
        raise InputError(f"the box {shown} is outside the photo of {width}x{height} pixels")
    return corners.clip(0, last), np.array([2, 3], np.int32)


def check_mask(mask: Any, side: int) -> np.ndarray:
    """Logits of an earlier answer, (1, side, side) or (side, side), as (1, 1, side, side) of float32.

    Raises:
        InputError: other shapes or numbers.
    """
    found = np.asarray(mask)
    if found.shape not in ((1, side, side), (side, side)) or not np.issubdtype(found.dtype, np.floating):
        raise InputError(
            f"mask_input is {found.dtype} {found.shape}; accepted: logits of an earlier predict, (1, {side}, {side})"
        )
    if not np.isfinite(found).all():
        raise InputError("mask_input has numbers that are not finite; accepted: logits of an earlier predict")
    return found.reshape(1, 1, side, side).astype(np.float32)


def thin_stroke(points: Sequence[Sequence[float]], count: int) -> list[tuple[float, float]]:
    """At most `count` points, evenly spread along a line through `points` (x, y)."""
    line = np.asarray(points, np.float64)
    if len(line) < 2:
        return [tuple(map(float, each)) for each in line]  # type: ignore[misc]
    lengths = np.hypot(*np.diff(line, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    wanted = np.linspace(0, along[-1], count)
    return [(float(np.interp(at, along, line[:, 0])), float(np.interp(at, along, line[:, 1]))) for at in wanted]
