"""People at work with the cutout pipeline: click after click, in the middle of what is wrong or anywhere in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mobigen.train.segment_scores import next_click

__all__ = ["Predictor", "session"]

Mask = NDArray[np.bool_]


class Predictor(Protocol):
    """What is asked of `mobigen.pipelines.cutout.CutoutPredictor`."""

    @property
    def image_size(self) -> int:
        """Pixels a side of the square in which the networks see a photo."""

    def set_image(self, image: Any) -> None:
        """uint8 (H, W, 3), RGB, that all later calls refer to."""

    def saliency(self, return_logits: bool = False) -> tuple[Any, Any]:
        """The first mask (H, W), bool or float32 logits, and its logits as the network gave them."""

    @property
    def predict(self) -> Callable[..., tuple[Any, Any, Any]]:
        """Called as `SamPredictor.predict`: masks (C, H, W) of bool, their scores, and their logits."""

    def everything(self) -> list[dict[str, Any]]:
        """All objects: dictionaries with a `segmentation` (H, W) of bool each."""


def session(
    predictor: Predictor, target: Mask, count: int, source: np.random.Generator | None = None
) -> Iterator[Mask]:
    """The masks (H, W) after each of `count` clicks towards `target`, in the photo that is set.

    In the middle of what is wrong; with a `source` anywhere in it. Where nothing is wrong nobody clicks.
    """
    mask, logits, points, labels = np.zeros_like(target), None, [], []
    for _ in range(count):
        point, label = next_click(mask, target, source)
        if label >= 0:
            points.append(point)
            labels.append(label)
            masks, _, logits = predictor.predict(points, labels, mask_input=logits, multimask_output=False)
            mask = masks[0]
        yield mask
