"""The cutout model's encoder, then its decoder, from a SAM-like teacher in the data folder (`sam/`)."""

from __future__ import annotations

from mobigen.distill.segment import DecoderDistillation, EmbeddingCache, EncoderDistillation, SamTeacher
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.loop import RunSettings

__all__ = ["DECODER", "ENCODER"]


def make_cache(workspace: Workspace) -> EmbeddingCache:
    """The teacher's embeddings of the photos that are not held out, made by the main process, or earlier."""
    kept, _ = workspace.masks.split()
    cache = EmbeddingCache(workspace.cache / "sam", SamTeacher.from_folder(workspace.data / "sam"), kept)
    with workspace.processes.main_process_first():
        cache.fill(workspace.device, workspace.tell)
    return cache


def make_encoder_task(workspace: Workspace) -> EncoderDistillation:
    """The cutout model's encoder, from the image embeddings of a SAM-like teacher."""
    encoder = workspace.new(ImageEncoder, "sam_encoder", stand_in="image_encoder")
    return EncoderDistillation(encoder, make_cache(workspace), workspace.device)


def make_decoder_task(workspace: Workspace) -> DecoderDistillation:
    """The cutout model's decoder, from the masks of a SAM-like teacher, on the encoder distilled before."""
    decoder = workspace.new(ClickDecoder, "sam_decoder", stand_in="click_decoder")
    encoder = workspace.trained(ImageEncoder, "sam_encoder")
    return DecoderDistillation(decoder, encoder, make_cache(workspace), workspace.device)


ENCODER = Recipe(
    name="cutout-sam-encoder",
    makes="sam_encoder",
    model="cutout",
    task=make_encoder_task,
    settings=RunSettings(minutes=60, train_batch_size=64, learning_rate=1e-3, mixed_precision="bf16"),
    distils=True,
)
DECODER = Recipe(
    name="cutout-sam-decoder",
    makes="sam_decoder",
    model="cutout",
    task=make_decoder_task,
    settings=RunSettings(minutes=60, train_batch_size=32, learning_rate=5e-4, mixed_precision="bf16"),
    distils=True,
)
