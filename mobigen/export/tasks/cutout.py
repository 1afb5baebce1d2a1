"""Cutout: drawn pictures, a few clicks in each, the logits after every click and the probabilities of the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mobigen.errors import ExportError
from mobigen.export.source import Source
from mobigen.export.tasks.trail import Requests, Trail
from mobigen.pipelines.cutout import CutoutPredictor
from mobigen.runtime import Component

__all__ = ["CALIBRATION_SEEDS", "PARITY_SEEDS", "RESULT_FLOOR", "Request", "check", "draw_request", "requests", "run"]

PARITY_SEEDS = range(4)
CALIBRATION_SEEDS = range(4, 12)  # none of the above: a range must not be fitted to what it is judged on
RESULT_FLOOR = 35.0  # dB of the mask's probability: it is what a border's alpha begins with
SIZE = 384  # pixels of the longer side of a drawn picture


@dataclass(frozen=True)
class Request:
    """A picture, RGB, with a click on an object, a box around it and a click beside it."""

    picture: np.ndarray
    click: tuple[float, float]
    box: tuple[float, float, float, float]
    beside: tuple[float, float]


def check(source: Source) -> None:
    """The constants of the pipeline must be those of its networks.

    Raises:
        ExportError: a component is missing, or a shape differs from the settings.
    """
    size, most = source.settings.image_size, source.settings.max_points
    stated = {
        ("image_encoder", "image"): (1, size, size, 3),
        ("click_decoder", "points"): (1, most, 2),
        ("click_decoder", "mask"): (1, 1, size // 2, size // 2),
    }
    signatures = source.signatures()
    for (component, name), shape in stated.items():
        if component not in signatures:
            raise ExportError(f"{source.name} lacks its {component}, which a cutout model needs")
        found = next((spec.shape for spec in signatures[component].inputs if spec.name == name), None)
        if found != shape:
            raise ExportError(f"pipeline.json means {name} of {component} to be {shape}, the network has {found}")
    _check_features(source)


def _check_features(source: Source) -> None:
    signatures = source.signatures()
    given = {spec.name: spec.shape for spec in signatures["image_encoder"].outputs}
    for spec in signatures["click_decoder"].inputs:
        if spec.name in given and given[spec.name] != spec.shape:
            raise ExportError(
                f"the encoder's {spec.name} is {given[spec.name]}, the decoder takes {spec.shape}; "
                "export networks that were trained together"
            )


def requests(source: Source) -> Requests:
    """Drawn pictures."""
    return Requests(tuple(map(draw_request, PARITY_SEEDS)), tuple(map(draw_request, CALIBRATION_SEEDS)))


def draw_request(seed: int) -> Request:
    """Two things, one before the other, on a mottled ground with grain; the seed says which way up and where."""
    source = np.random.default_rng(seed)
    height, width = (SIZE, SIZE * 3 // 4) if seed % 2 else (SIZE * 3 // 4, SIZE)
    picture = cv2.resize(source.integers(40, 216, (5, 5, 3), np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    places = source.uniform((0.25, 0.25), (0.75, 0.75), (2, 2)) * (width, height)
    for x, y in places:
        colour = source.integers(0, 256, 3).tolist()
        radius = source.uniform(0.1, 0.2) * SIZE
        corners = int(source.integers(3, 9))
        turns = np.linspace(0, 2 * np.pi, corners, endpoint=False) + source.uniform(0, 1)
        outline = np.stack([x + radius * np.cos(turns), y + radius * np.sin(turns)], 1)
        cv2.fillPoly(picture, [np.round(outline * 16).astype(np.int32)], colour, cv2.LINE_AA, 4)
    picture = np.clip(picture + source.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
    x, y = map(float, places[1])
    return Request(picture, (x, y), (x - 60, y - 60, x + 60, y + 60), (2.0, 2.0))


def run(source: Source, components: Mapping[str, Component], requests: Sequence[Request]) -> Iterator[Trail]:
    """A click; the same with one beside the object and the mask so far; a box.

    The result is the probabilities of the click's masks, as the network gave them: whether a speck goes may turn on a
    single cell.
    """
    pipeline = CutoutPredictor(source.settings, components, source.files, source.name)
    for request in requests:
        pipeline.set_image(request.picture)
        _, _, first = pipeline.predict([request.click], [1])
        _, _, second = pipeline.predict([request.click, request.beside], [1, 0], mask_input=first[0])
        _, _, boxed = pipeline.predict(box=request.box)
        yield Trail((first, second, boxed), 1 / (1 + np.exp(-first.clip(-30, 30))))
