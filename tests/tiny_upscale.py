"""A tiny upscaler: a real network with random weights, its bundle, and a component whose arithmetic is exact."""

import json

import numpy as np

from mobigen.signature import Signature, TensorSpec

SCALE, OVERLAP, TILES = 2, 4, (24, 16)
JOINED = {"task": "upscale", "components": ["upscaler"]}
PIPELINE = {"scale": SCALE, "overlap": OVERLAP}
CREDITS = {
    "licence": "Apache-2.0",
    "credits": [{"name": "random numbers", "licence": "CC0-1.0", "note": "nothing was trained"}],
}


def network(tile=TILES[0]):
    """Bilinear enlargement and something of its own, well inside [0, 1]."""
    import torch

    from mobigen.models.plain_upscaler import PlainUpscaler

    with torch.random.fork_rng():
        torch.manual_seed(0)  # whatever was drawn in other tests before
        made = PlainUpscaler(SCALE, width=8, depth=1, hidden=8, tile_height=tile, tile_width=tile)
    torch.nn.init.normal_(made.tail.narrow.weight, std=0.02, generator=torch.Generator().manual_seed(0))
    return made.eval()


def write_weights(folder):
    """A model's weights folder."""
    made = network()
    made.save_pretrained(folder / made.component)
    (folder / "pipeline.json").write_text(json.dumps(JOINED | PIPELINE))
    (folder / "credits.json").write_text(json.dumps(CREDITS))
    return folder


def write_bundle(folder, weights):
    """Exported for LiteRT in float32, with both tiles."""
    from mobigen.export.engine import export_model
    from mobigen.export.source import read_source

    source = read_source("upscale-x2", weights)
    return export_model(source, folder, {"litert": {"upscaler": "float32"}}, sizes={"upscaler": list(TILES)})


class Neighbours:
    """A component that enlarges by repeating the mean of each pixel's neighbours up to `reach` away, exactly.

    Its sums are of whole numbers, so that they do not depend on what else a tile holds.
    """

    def __init__(self, height, width, scale=2, reach=2, channels=3):
        self.scale, self.reach, self.calls = scale, reach, 0
        shapes = (1, channels, height, width), (1, channels, height * scale, width * scale)
        image, upscaled = (
            TensorSpec(*each, low=0.0, high=1.0) for each in zip(("image", "upscaled"), shapes, strict=True)
        )
        self.signature = Signature("upscaler", (image,), (upscaled,))

    def __call__(self, image):
        assert image.shape == self.signature.inputs[0].shape
        assert image.dtype == np.float32
        self.calls += 1
        whole = np.rint(image * 255)
        total = np.zeros_like(whole)
        for axis_shift in np.ndindex(2 * self.reach + 1, 2 * self.reach + 1):
            total += np.roll(whole, [step - self.reach for step in axis_shift], axis=(2, 3))
        mean = np.rint(total / (2 * self.reach + 1) ** 2) / 255
        return {"upscaled": mean.repeat(self.scale, 2).repeat(self.scale, 3).astype(np.float32)}
