"""The sticker model's text encoder, distilled from all-MiniLM-L6-v2 over captions, English words and phrases.

Started from earlier weights, it keeps their vocabulary and appends the words of things that it knew in pieces only:
what the denoiser has learned of the others stays valid. A learning rate of 5e-4 then moves them little.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from mobigen.data.captions import with_article
from mobigen.data.related import centred
from mobigen.data.words import extend_tokenizer, make_tokenizer, phrases, token_ids
from mobigen.distill.sentence import SentenceDistillation, from_bytes, teacher_embeddings, to_bytes
from mobigen.errors import ConfigError, WeightsError
from mobigen.models.text_encoder import TextEncoder
from mobigen.recipes.recipe import Recipe, Workspace
from mobigen.train.loop import RunSettings

__all__ = ["RECIPE"]

VOCABULARY = 22528  # entries to which an earlier tokenizer is extended


def make_task(workspace: Workspace) -> SentenceDistillation:
    encoder = workspace.new(TextEncoder)
    earlier = None if workspace.init is None else _earlier_tokenizer(workspace.init)
    cached, tokenizer_file = workspace.cache / "sentences.safetensors", workspace.out / "tokenizer.json"
    with workspace.processes.main_process_first():
        if not (cached.is_file() and tokenizer_file.is_file()):
            _embed_phrases(workspace, encoder, earlier, cached, tokenizer_file)
    if earlier is not None:
        encoder = _extended(encoder, earlier, Tokenizer.from_file(str(tokenizer_file)))
    tensors = load_file(cached)
    ids, targets = tensors["token_ids"], from_bytes(tensors["targets"])
    if ids.shape[1] != encoder.tokens or ids.max() >= encoder.vocabulary:
        raise ConfigError(f"{cached} was made for a text encoder of another size; remove it, it is made again")
    return SentenceDistillation(encoder, ids.to(workspace.device), targets.to(workspace.device))


def _embed_phrases(
    workspace: Workspace, encoder: TextEncoder, earlier: Tokenizer | None, cached: Path, tokenizer_file: Path
) -> None:
    """Makes the teacher's embedding of every phrase, and the tokenizer, which extends an earlier one."""
    words, names = workspace.english, sorted(workspace.keywords)  # first what needs the teachers extra
    captions = list(dict.fromkeys(caption for sticker in workspace.stickers.stickers for caption in sticker.captions))
    related = [word for found in workspace.related_words.values() for word in found]
    things = list(dict.fromkeys([*related, *sorted(set().union(*workspace.keywords.values()))]))
    said = phrases(captions, names, words, things, seed=0)
    targets = teacher_embeddings(said)
    if earlier is None:
        tokenizer = make_tokenizer(captions, words, encoder.vocabulary, encoder.tokens)
    else:
        concrete = _by_nearness(words, names, dict(zip(said, targets, strict=True)))
        size = workspace.counts.get("vocabulary", VOCABULARY)
        tokenizer = extend_tokenizer(earlier, [*things, *concrete], size)
    tokenizer.save(str(tokenizer_file))
    partial = cached.with_suffix(".partial")
    save_file({"token_ids": torch.from_numpy(token_ids(tokenizer, said)), "targets": to_bytes(targets)}, partial)
    partial.replace(cached)


def _by_nearness(words: list[str], names: list[str], target: dict[str, Tensor]) -> list[str]:
    """`words` by falling similarity to their nearest name, from the embeddings of phrases."""
    said = [word for word in words if with_article(word) in target]
    vectors, places = (torch.stack([target[with_article(phrase)] for phrase in each]) for each in (said, names))
    mean = vectors.float().mean(0)
    similarity = (centred(vectors, mean) @ centred(places, mean).T).amax(1)
    return [said[index] for index in similarity.argsort(descending=True, stable=True).tolist()]


def _earlier_tokenizer(init: Path) -> Tokenizer:
    file = init / "tokenizer.json"
    if not file.is_file():
        raise WeightsError(f"{init} holds no tokenizer.json to go with its text encoder")
    return Tokenizer.from_file(str(file))


def _extended(encoder: TextEncoder, earlier: Tokenizer, tokenizer: Tokenizer) -> TextEncoder:
    """`encoder` with an entry for every word that `tokenizer` knows and `earlier` spells in pieces."""
    known = earlier.get_vocab_size()
    entries = [tokenizer.id_to_token(index) for index in range(known, tokenizer.get_vocab_size())]
    earlier.no_padding()
    return encoder.with_entries(known, [earlier.encode(entry).ids for entry in entries])


RECIPE = Recipe(
    name="sticker-text-encoder",
    makes="text_encoder",
    task=make_task,
    settings=RunSettings(
        minutes=2, train_batch_size=2048, learning_rate=2e-3, lr_warmup_steps=200, weight_decay=0.05, ema_decay=0.998
    ),
    distils=True,
)
