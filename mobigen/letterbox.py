"""How a photo of any size becomes a square of one size and its masks come back; training and pipelines share it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

__all__ = ["GROUND", "Letterbox"]

GROUND = (124, 116, 104)  # of the padding: ImageNet's mean colour, zero once normalised


@dataclass(frozen=True)
class Letterbox:
    """A photo scaled until its longer side fills the square, its proportions kept, and padded right or below.

    Attributes:
        height, width: of the photo, in pixels.
        size: pixels a side of the square; even.
    """

    height: int
    width: int
    size: int

    @property
    def inner(self) -> tuple[int, int]:
        """Height and width that the photo takes in the square: both even, so that maps of half the size fit too."""
        scale = self.size / max(self.height, self.width)
        return _even(self.height * scale), _even(self.width * scale)

    def square(self, picture: np.ndarray, ground: Sequence[int] = GROUND) -> np.ndarray:
        """The photo (H, W, C) of uint8 -> (size, size, C)."""
        smooth = cv2.INTER_AREA if max(self.height, self.width) > self.size else cv2.INTER_LINEAR
        return self._padded(cv2.resize(picture, self.inner[::-1], interpolation=smooth), ground)

    def square_labels(self, labels: np.ndarray) -> np.ndarray:
        """A label map (H, W) of uint8, whose values must not mix -> (size, size), padded with 0.

        Exact, since OpenCV's plain nearest neighbour is up to half a pixel beside the photo.
        """
        return self._padded(cv2.resize(labels, self.inner[::-1], interpolation=cv2.INTER_NEAREST_EXACT), 0)

    def points(self, points: np.ndarray) -> np.ndarray:
        """x and y (N, 2) in pixels of the photo -> in pixels of the square, float32; whole numbers are centres."""
        return ((np.asarray(points, np.float64) + 0.5) * self._factors - 0.5).astype(np.float32)

    def back(self, points: np.ndarray) -> np.ndarray:
        """x and y (N, 2) in pixels of the square -> in pixels of the photo, kept inside it, float32."""
        photo = (np.asarray(points, np.float64) + 0.5) / self._factors - 0.5
        return photo.clip(0, (self.width - 1, self.height - 1)).astype(np.float32)

    def restore(self, values: np.ndarray) -> np.ndarray:
        """A map (s, s) of float32 over the square, s a divisor of its size -> (H, W), without the padding."""
        share = len(values) / self.size
        height, width = (max(1, round(side * share)) for side in self.inner)
        return self.restore_inner(values[:height, :width])

    def restore_inner(self, values: np.ndarray) -> np.ndarray:
        """A map over what the photo takes of the square -> (H, W)."""
        return cv2.resize(values, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

    @property
    def _factors(self) -> np.ndarray:
        height, width = self.inner
        return np.array([width / self.width, height / self.height])

    def _padded(self, scaled: np.ndarray, ground: Sequence[int] | int) -> np.ndarray:
        padded = np.empty((self.size, self.size, *scaled.shape[2:]), scaled.dtype)
        padded[:] = ground
        padded[: scaled.shape[0], : scaled.shape[1]] = scaled
        return padded


def _even(side: float) -> int:
    return max(2, 2 * round(side / 2))
