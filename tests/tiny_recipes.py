"""The recipes of the sticker and cutout models at tiny size on drawn data, and a stand-in for the sentence teacher.

`python tiny_recipes.py DATA OUT STEPS` runs them one after the other; under `accelerate launch`, in all processes.
"""

import hashlib
import json
import os
import string
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_networks import SIZES
from tiny_sam import tiny_sam

import mobigen.recipes.sticker_text_encoder as text_encoder_recipe
from mobigen.data.synthetic import write_synthetic_masks, write_synthetic_shards
from mobigen.models.autoencoder import Decoder, Encoder, TeacherDecoder
from mobigen.models.denoiser import Denoiser
from mobigen.models.dual_encoder import DualEncoder
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.models.squeezesam import SqueezeSAM
from mobigen.models.text_encoder import TextEncoder
from mobigen.recipes import RECIPES, Workspace, recipe
from mobigen.train.loop import train
from mobigen.train.pictures import AutoencoderTask
from mobigen.train.segment import SegmentTask
from mobigen.train.task import bare

IMAGE_SIZE = 64
TOGETHER = {name: each for name, each in RECIPES.items() if each.model in ("sticker", "cutout")}
KINDS = {
    "text_encoder": TextEncoder, "encoder": Encoder, "teacher_decoder": TeacherDecoder, "decoder": Decoder,
    "teacher": Denoiser, "denoiser": Denoiser, "dual_encoder": DualEncoder,
    "sam_encoder": ImageEncoder, "sam_decoder": ClickDecoder,
    "image_encoder": ImageEncoder, "click_decoder": ClickDecoder, "squeezesam": SqueezeSAM,
}  # fmt: skip
NETWORK_SIZES = {name: dict(SIZES[kind]) for name, kind in KINDS.items()}
NETWORK_SIZES["text_encoder"]["vocabulary"] = 2000
for name in ("click_decoder", "sam_decoder", "squeezesam"):
    NETWORK_SIZES[name]["points"] = 16  # room for a stroke and its corrections
OVERRIDES = {"minutes": None, "train_batch_size": 4, "mixed_precision": "no"}


def workspace(data, out, init=None):
    counts = {"trajectories": 8, "words": 400, "vocabulary": 2100}
    sizes = {"sizes": NETWORK_SIZES, "counts": counts, "image_size": IMAGE_SIZE, "photo_size": 64}
    return Workspace(Path(data), Path(out), init, **sizes)


def write_data(folder):
    """Drawn stickers, drawn figures with label maps, and a teacher with random weights."""
    write_synthetic_shards(folder / "stickers", 24, IMAGE_SIZE)
    write_synthetic_masks(folder / "masks", 10)
    tiny_sam().save_pretrained(folder / "sam")


def run(name, data, out, **overrides):
    return RECIPES[name].run(workspace(data, out), **{**OVERRIDES, **overrides})


def embed_letters(phrases):
    """Unit vectors made of how often a phrase has each letter."""
    counts = torch.tensor([[phrase.count(letter) for letter in string.ascii_lowercase] for phrase in phrases])
    return torch.nn.functional.normalize(counts.repeat(1, 15)[:, :384] + 0.01, dim=1).half()


def make_small(patch):
    """Through pytest's `monkeypatch`: no sentence model, few pictures for statistics, no weights of the checkout."""
    for module in (text_encoder_recipe, recipe):
        patch.setattr(module, "teacher_embeddings", embed_letters)
    patch.setattr(AutoencoderTask, "MEASURED", (2, 8))
    patch.setattr(SegmentTask, "CLICKS", 2)
    patch.setattr(recipe, "model_folders", lambda model: [Path("nowhere")])


def digest(networks):
    """A hash of all weights."""
    weights = [parameter.detach().numpy() for network in networks.values() for parameter in bare(network).parameters()]
    return hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest()


def run_all(data, out, steps):
    """Leaves beside `out` a file weights-<process>.json with a hash of the weights that each recipe ended with."""
    digests = {}
    for name, each in TOGETHER.items():
        place = workspace(data, out)
        task = each.task(place)
        settings = replace(each.settings, **OVERRIDES, max_train_steps=steps)
        train(task, settings, place.out / name, place.out)
        digests[name] = digest(task.networks)
    Path(out).with_name(f"weights-{os.environ.get('RANK', 0)}.json").write_text(json.dumps(digests))


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        run_all(sys.argv[1], sys.argv[2], int(sys.argv[3]))
