"""A tiny cutout model: real networks with random weights, their bundle, and components that paint what they hear."""

import json

import numpy as np

SIZE, POINTS = 64, 16
PIPELINE = {"image_size": SIZE, "max_points": POINTS}
JOINED = {"task": "cutout", "components": ["image_encoder", "click_decoder"]}
CREDITS = {
    "licence": "Apache-2.0",
    "credits": [{"name": "random numbers", "licence": "CC0-1.0", "note": "nothing was trained"}],
}
FLOAT32 = {"image_encoder": "float32", "click_decoder": "float32"}


def networks():
    """Encoder and decoder whose masks have both signs; clicks are not on the first mask."""
    from tiny_networks import tiny

    from mobigen.models.segmenter import ClickDecoder, ImageEncoder

    return tiny(ImageEncoder, seed=2), tiny(ClickDecoder, seed=1, points=POINTS, depth=0)


def write_weights(folder):
    """A model's weights folder."""
    for network in networks():
        network.save_pretrained(folder / network.component)
    (folder / "pipeline.json").write_text(json.dumps(JOINED | PIPELINE))
    (folder / "credits.json").write_text(json.dumps(CREDITS))
    return folder


def write_bundle(folder, weights):
    """Exported for LiteRT in float32."""
    from mobigen.export.engine import export_model
    from mobigen.export.source import read_source

    return export_model(read_source("cutout", weights), folder, {"litert": FLOAT32})


class Painter:
    """A component of the tiny model's signature whose outputs a function paints."""

    def __init__(self, network, paint):
        self.signature, self.paint, self.calls = network.signature(), paint, []

    def __call__(self, **inputs):
        self.calls.append(inputs)
        outputs = {spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.signature.outputs}
        return outputs | self.paint(**inputs)


def salient_dark(image):
    """What is dark stands out."""
    dark = image[0, ::2, ::2].max(-1) < 64
    return {"saliency": np.where(dark, 8.0, -8.0).astype(np.float32)[None, None]}


def disks(points, labels, mask, **features):
    """Around each click on the object a disk of 6 pixels, a hole of 3 for one beside it; a box is filled.

    The three masks are of growing size; the middle one is said to be best. What was known stays.
    """
    half = SIZE // 2
    rows, columns = np.mgrid[:half, :half] * 2 + 0.5
    found = np.zeros((3, half, half), bool) | (mask[0] > 0)
    for index in range(3):
        for (x, y), label in zip(points[0], labels[0], strict=True):
            near = (columns - x) ** 2 + (rows - y) ** 2
            if label == 1:
                found[index] |= near <= (6 + 2 * index) ** 2
            elif label == 0:
                found[index] &= near > 3**2
    if 2 in labels[0]:
        (x0, y0), (x1, y1) = points[0][list(labels[0]).index(2)], points[0][list(labels[0]).index(3)]
        found |= (columns >= x0) & (columns <= x1) & (rows >= y0) & (rows <= y1)
    return {"masks": np.where(found, 8.0, -8.0).astype(np.float32)[None], "iou": np.float32([[0.8, 0.95, 0.9]])}


def painted_predictor():
    """The pipeline on painters."""
    from mobigen.pipelines.cutout import CutoutPredictor
    from mobigen.settings import CutoutSettings

    encoder, decoder = networks()
    components = {"image_encoder": Painter(encoder, salient_dark), "click_decoder": Painter(decoder, disks)}
    return CutoutPredictor(CutoutSettings(SIZE, POINTS), components, {}, "cutout")


def photo(height=90, width=120):
    """A dark block on a light ground: rows 30 to 60, columns 20 to 50 of 90x120, and so at other sizes."""
    picture = np.full((height, width, 3), 200, np.uint8)
    picture[height // 3 : 2 * height // 3, width // 6 : 5 * width // 12] = (10, 20, 30)
    return picture
