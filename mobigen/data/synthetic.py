"""Drawn stickers, label maps and photos for tests and first tries, packed like the real ones."""

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

__all__ = [
    "draw_figure",
    "draw_photo",
    "draw_shape",
    "write_synthetic_masks",
    "write_synthetic_photos",
    "write_synthetic_shards",
]

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


def draw_figure(size: int, source: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A figure of a body (1), a head (2) and a bag (3) before a blurred ground.

    -> RGB (size, size, 3) and its label map (size, size), both uint8.
    """
    noise = source.integers(0, 256, (4, 4, 3), np.uint8)
    photo = cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    labels = np.zeros((size, size), np.uint8)
    unit = size * source.uniform(0.08, 0.11)
    x, y = size * source.uniform(0.35, 0.65), size * source.uniform(0.45, 0.6)
    shapes = ((x, y, 1.8, 2.6), (x, y - 3.4 * unit, 1.0, 1.0), (x + 2.2 * unit, y + unit, 0.9, 0.8))
    for label, (across, down, wide, high) in enumerate(shapes, start=1):
        place = ((across, down), (2 * wide * unit, 2 * high * unit), 0.0)
        cv2.ellipse(labels, place, label, -1)
        photo[labels == label] = source.integers(0, 256, 3, np.uint8)
    return photo, labels


def write_synthetic_masks(folder: Path, count: int, size: int = 96, seed: int = 0) -> None:
    """Writes `count` figures as one shard in `folder`, like the mask set: with parts, and every other one without."""
    folder.mkdir(parents=True, exist_ok=True)
    source = np.random.default_rng(seed)
    with wds.TarWriter(str(folder / "figures-00.tar")) as writer:
        for index in range(count):
            photo, labels = draw_figure(size, source)
            parts = {"0": "null", "1": "body", "2": "head", "3": "bag"}
            if index % 2:
                labels, parts = np.where(labels > 0, np.uint8(255), np.uint8(0)), {"255": "salient object"}
            _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
            _, png = cv2.imencode(".png", labels)
            record = json.dumps({"parts": parts}).encode()
            key = f"{'salient' if index % 2 else 'people'}-{index:04d}"
            writer.write({"__key__": key, "jpg": jpeg.tobytes(), "png": png.tobytes(), "json": record})


def draw_photo(width: int, height: int, source: np.random.Generator) -> np.ndarray:
    """Something with flat, smooth, sharp and fine parts, as photos have: (height, width, 3) uint8, RGB."""
    rows, columns = np.mgrid[:height, :width]
    slope = rows[..., None] * source.uniform(-0.5, 0.5, 3) + columns[..., None] * source.uniform(-0.5, 0.5, 3)
    photo = np.clip(source.uniform(60, 190, 3) + slope, 0, 255).astype(np.uint8)
    for _ in range(12):
        colour = tuple(map(int, source.integers(0, 256, 3)))
        centre = tuple(map(int, source.integers(0, (width, height))))
        cv2.circle(photo, centre, int(source.integers(3, max(height // 4, 4))), colour, -1, cv2.LINE_AA)
    stripes = 127 + 60 * np.sin(columns * source.uniform(0.3, 1.2) + rows * source.uniform(0.3, 1.2))
    photo[: height // 3, : width // 3] = stripes[: height // 3, : width // 3, None]
    return photo


def write_synthetic_photos(folder: Path, count: int, width: int = 96, height: int = 80, seed: int = 0) -> None:
    """Writes `count` drawn photos as PNG into one shard in `folder`, without any record beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    source = np.random.default_rng(seed)
    with wds.TarWriter(str(folder / "photos-00.tar")) as writer:
        for index in range(count):
            picture = io.BytesIO()
            Image.fromarray(draw_photo(width, height, source)).save(picture, "PNG")
            writer.write({"__key__": f"{index:05d}", "png": picture.getvalue()})
