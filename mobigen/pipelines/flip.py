"""Flip test for the cutout model: its networks see the photo mirrored, too, and the mean of both answers counts.

Two opinions err less than one, and take twice the time. The pipeline is none the wiser: what the encoder makes of both
goes through it as a batch of two.
"""

import numpy as np

from mobigen.runtime import Component

__all__ = ["FlippedDecoder", "FlippedEncoder"]


class FlippedEncoder:
    """An image encoder, asked twice: features (2, ...) of a photo and of its mirror image, and their mean saliency."""

    def __init__(self, encoder: Component) -> None:
        """`encoder`: of the signature that this one then has but for the batch of its features."""
        self.encoder, self.signature = encoder, encoder.signature

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """`image` (1, S, S, 3)."""
        pictures = inputs["image"], np.ascontiguousarray(inputs["image"][:, :, ::-1])
        seen, mirrored = (dict(self.encoder(image=picture)) for picture in pictures)
        saliency = (seen.pop("saliency") + mirrored.pop("saliency")[..., ::-1]) / 2
        return {name: np.concatenate([seen[name], mirrored[name]]) for name in seen} | {"saliency": saliency}


class FlippedDecoder:
    """A click decoder, asked twice: with the prompts as they are, and mirrored as the photo was."""

    def __init__(self, decoder: Component, image_size: int) -> None:
        """`image_size`: S, pixels a side of the square that the prompts are for."""
        self.decoder, self.signature, self.image_size = decoder, decoder.signature, image_size

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """`points`, `labels` and `mask` as of one photo; features of a `FlippedEncoder`."""
        points, labels, mask = (inputs.pop(name) for name in ("points", "labels", "mask"))
        prompts = (points, mask), (self._mirrored(points, labels), np.ascontiguousarray(mask[..., ::-1]))
        seen, mirrored = (
            self.decoder(
                **{name: each[index : index + 1] for name, each in inputs.items()},
                points=places,
                labels=labels,
                mask=known,
            )
            for index, (places, known) in enumerate(prompts)
        )
        return {
            "masks": (seen["masks"] + mirrored["masks"][..., ::-1]) / 2,
            "iou": (seen["iou"] + mirrored["iou"]) / 2,
        }

    def _mirrored(self, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Points (1, P, 2) of the mirrored photo; a box has its first corner at the left there, too."""
        flipped = points.copy()
        flipped[..., 0] = self.image_size - 1 - points[..., 0]
        corners = np.flatnonzero(labels[0] > 1)
        flipped[0, corners, 0] = flipped[0, corners[::-1], 0]
        return flipped
