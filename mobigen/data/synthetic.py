"""Drawn stickers for tests and first tries: coloured shapes with soft edges, packed like the real ones."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import webdataset as wds
from PIL import Image

from mobigen.data.recolour import COLOURS
from mobigen.data.stickers import STYLES

__all__ = ["draw_shape", "write_synthetic_shards"]

SHAPES = {"circle": 64, "triangle": 3, "square": 4, "pentagon": 5, "hexagon": 6}


def draw_shape(shape: str, colour: str, size: int, radius: float = 0.35) -> np.ndarray:
    """A filled regular polygon of SHAPES in a colour of COLOURS on nothing: (size, size, 4) uint8, straight RGBA."""
    angles = np.linspace(0, 2 * np.pi, SHAPES[shape], endpoint=False) - np.pi / 2
    corners = size * (0.5 + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    alpha = np.zeros((size, size), np.uint8)
    cv2.fillPoly(alpha, [np.round(corners * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    hsv = np.array([[COLOURS[colour]]], np.float32)
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0] * 255
    return np.dstack([np.broadcast_to(np.round(rgb).astype(np.uint8), (size, size, 3)), alpha])


def write_synthetic_shards(folder: Path, count: int, size: int = 256, seed: int = 0) -> None:
    """Writes `count` drawn stickers as one shard in `folder`, with the JSON fields of the sticker set."""
    folder.mkdir(parents=True, exist_ok=True)
    source = np.random.default_rng(seed)
    with wds.TarWriter(str(folder / "shapes-00.tar")) as writer:
        for index in range(count):
            shape, colour = str(source.choice(list(SHAPES))), str(source.choice(list(COLOURS)))
            picture = io.BytesIO()
            Image.fromarray(draw_shape(shape, colour, size, source.uniform(0.25, 0.45))).save(
                picture, "WEBP", lossless=True
            )
            record = {
                "name": shape,
                "keywords": [colour, "shape"],
                "style": STYLES[index % len(STYLES)],
                "group": "Objects",
            }
            writer.write({"__key__": f"{index:05d}", "webp": picture.getvalue(), "json": json.dumps(record).encode()})
