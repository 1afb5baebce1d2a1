"""A drawn photo: one thing in the middle of a mottled ground, with grain over all."""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["draw_photo"]


def draw_photo(width: int, height: int) -> np.ndarray:
    """uint8 (height, width, 3) of RGB order; the same for the same size."""
    source = np.random.default_rng(0)
    ground = source.integers(120, 216, (5, 5, 3), np.uint8)
    photo = cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
    middle, axes = (width // 2, height // 2), (width // 5, height // 3)
    cv2.ellipse(photo, middle, axes, 15, 0, 360, (190, 40, 30), cv2.FILLED, cv2.LINE_AA)
    return (photo + source.normal(0, 6, photo.shape)).clip(0, 255).astype(np.uint8)
