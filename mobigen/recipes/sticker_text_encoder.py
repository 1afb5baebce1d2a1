"""The sticker model's text encoder, distilled from all-MiniLM-L6-v2 over captions, English words and phrases."""

from __future__ import annotations

import torch
from safetensors.torch import load_file, save_file

from mobigen.data.captions import clean_name
from mobigen.data.words import common_words, make_tokenizer, phrases, token_ids
from mobigen.distill.sentence import SentenceDistillation, teacher_embeddings
from mobigen.models.text_encoder import TextEncoder
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.loop import RunSettings

__all__ = ["RECIPE"]

WORDS = 45000


def make_task(workspace: Workspace) -> SentenceDistillation:
    cached = workspace.out / "cache" / "sentences.safetensors"
    if not cached.is_file():
        _embed_phrases(workspace)
    tensors = load_file(cached)
    return SentenceDistillation(workspace.new(TextEncoder), tensors["token_ids"], tensors["targets"])


def _embed_phrases(workspace: Workspace) -> None:
    """Makes the tokenizer, and the teacher's embedding of every phrase, once."""
    stickers = workspace.stickers.stickers
    captions = list(dict.fromkeys(caption for sticker in stickers for caption in sticker.captions))
    names = sorted({clean_name(sticker.name) for sticker in stickers})
    words = common_words(WORDS)
    encoder = workspace.new(TextEncoder)
    tokenizer = make_tokenizer(captions, words, encoder.vocabulary, encoder.tokens)
    said = phrases(captions, names, words, seed=0)
    tensors = {"token_ids": torch.from_numpy(token_ids(tokenizer, said)), "targets": teacher_embeddings(said)}
    save_file(tensors, workspace.out / "cache" / "sentences.safetensors")
    tokenizer.save(str(workspace.out / "tokenizer.json"))


RECIPE = Recipe(
    name="sticker-text-encoder",
    makes="text_encoder",
    task=make_task,
    settings=RunSettings(
        minutes=2, train_batch_size=2048, learning_rate=2e-3, lr_warmup_steps=200, weight_decay=0.05, ema_decay=0.998
    ),
    distils=True,
)
