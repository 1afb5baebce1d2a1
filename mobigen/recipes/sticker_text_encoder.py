"""The sticker model's text encoder, distilled from all-MiniLM-L6-v2 over captions, English words and phrases."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from mobigen.data.captions import clean_name
from mobigen.data.stickers import StickerSet
from mobigen.data.words import common_words, make_tokenizer, phrases, token_ids
from mobigen.distill.sentence import SentenceDistillation, teacher_embeddings
from mobigen.errors import ConfigError
from mobigen.models.text_encoder import TextEncoder
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.loop import RunSettings

__all__ = ["RECIPE"]

WORDS = 45000  # of English, by falling frequency


def make_task(workspace: Workspace) -> SentenceDistillation:
    encoder, stickers = workspace.new(TextEncoder), workspace.stickers
    cached = workspace.cache / "sentences.safetensors"
    with workspace.processes.main_process_first():
        if not cached.is_file():
            _embed_phrases(workspace, stickers, encoder, cached)
    tensors = load_file(cached)
    ids, targets = tensors["token_ids"], tensors["targets"]
    if ids.shape[1] != encoder.tokens or ids.max() >= encoder.vocabulary:
        raise ConfigError(f"{cached} was made for a text encoder of another size; remove it, it is made again")
    return SentenceDistillation(encoder, ids, targets)


def _embed_phrases(workspace: Workspace, stickers: StickerSet, encoder: TextEncoder, cached: Path) -> None:
    """Makes the tokenizer, and then the teacher's embedding of every phrase."""
    captions = list(dict.fromkeys(caption for sticker in stickers.stickers for caption in sticker.captions))
    names = sorted({clean_name(sticker.name) for sticker in stickers.stickers})
    words = common_words(workspace.counts.get("words", WORDS))
    tokenizer = make_tokenizer(captions, words, encoder.vocabulary, encoder.tokens)
    tokenizer.save(str(workspace.out / "tokenizer.json"))
    said = phrases(captions, names, words, seed=0)
    tensors = {"token_ids": torch.from_numpy(token_ids(tokenizer, said)), "targets": teacher_embeddings(said)}
    partial = cached.with_suffix(".partial")
    save_file(tensors, partial)
    partial.replace(cached)


RECIPE = Recipe(
    name="sticker-text-encoder",
    makes="text_encoder",
    task=make_task,
    settings=RunSettings(
        minutes=2, train_batch_size=2048, learning_rate=2e-3, lr_warmup_steps=200, weight_decay=0.05, ema_decay=0.998
    ),
    distils=True,
)
