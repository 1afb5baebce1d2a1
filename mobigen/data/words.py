"""Words: the vocabulary and tokenizer of the text encoder, and the phrases that it is distilled on.

Ordinary English comes from wordfreq (Speer 2022), captions from the sticker set; phrases join them with colours and
adjectives, so that the encoder meets far more words than any caption holds.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from mobigen.data.captions import COLOUR_WORDS, with_article
from mobigen.errors import MissingExtraError

__all__ = ["common_words", "extend_tokenizer", "make_tokenizer", "phrases", "token_ids"]

CAPTIONS = 30000  # at most, among the phrases
PIECES = 1200  # word pieces for words outside the vocabulary
ADJECTIVES = (
    "sleepy", "happy", "sad", "angry", "smiling", "crying", "laughing", "tiny", "small", "big", "huge", "old", "young",
    "baby", "cute", "funny", "scary", "shiny", "golden", "silver", "wooden", "metal", "glass", "broken", "burning",
    "frozen", "wet", "flying", "running", "sitting", "standing", "dancing", "fast", "slow", "round", "square",
    "striped", "spotted", "fluffy", "furry", "hungry", "tired", "surprised", "confused", "grinning", "winking",
    "bright", "dark", "colourful", "magical", "delicious", "ripe", "rotten", "royal", "wild", "toy", "cartoon",
    "glowing", "crowned",
)  # fmt: skip


def common_words(count: int) -> list[str]:
    """The `count` most frequent English words of two letters or more.

    Raises:
        MissingExtraError: wordfreq is not installed.
    """
    try:
        import wordfreq
    except ImportError as error:
        raise MissingExtraError("word lists need wordfreq; run: pip install 'mobigen[teachers]'") from error
    words = wordfreq.top_n_list("en", count * 2)
    return [word for word in words if re.fullmatch(r"[a-z][a-z'-]+", word)][:count]


def make_tokenizer(texts: Sequence[str], words: Sequence[str], vocabulary: int, tokens: int) -> Tokenizer:
    """A lower-casing WordPiece tokenizer: every word of `texts`, then the first of `words`, and pieces for the rest.

    Args:
        texts: captions; their words come first.
        words: by falling frequency; they fill the vocabulary.
        vocabulary: entries in all; 0 is [PAD] and 1 is [UNK].
        tokens: length to which it pads and cuts.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces = _pieces(tokenizer, words)
    entries = dict.fromkeys(["[PAD]", "[UNK]", *pieces, *_words_of(tokenizer, [*texts, *words])])
    tokenizer.model = models.WordPiece(
        {entry: index for index, entry in enumerate(list(entries)[:vocabulary])}, unk_token="[UNK]"
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.enable_padding(length=tokens)
    tokenizer.enable_truncation(tokens)
    return tokenizer


def extend_tokenizer(tokenizer: Tokenizer, texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """`tokenizer` with the words of `texts` that it knows only in pieces, after the entries that it has.

    Args:
        tokenizer: as from `make_tokenizer`; it stays as it is, and its entries keep their ids.
        texts: the most wanted first.
        vocabulary: entries in all, at most.
    """
    state = json.loads(tokenizer.to_str())
    entries = state["model"]["vocab"]
    for word in _words_of(tokenizer, texts):
        if len(entries) >= vocabulary:
            break
        entries.setdefault(word, len(entries))
    return Tokenizer.from_str(json.dumps(state))


def _pieces(tokenizer: Tokenizer, words: Iterable[str]) -> list[str]:
    trainer = trainers.WordPieceTrainer(vocab_size=PIECES, special_tokens=["[PAD]", "[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(words, trainer)
    return sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)  # type: ignore[arg-type]


def _words_of(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(text)
        yield from (word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal))


def token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int32]:
    """Token ids (len(texts), tokens) of int32, padded with 0."""
    return np.array([encoding.ids for encoding in tokenizer.encode_batch(list(texts))], np.int32)


def phrases(
    captions: Sequence[str], names: Sequence[str], words: Sequence[str], things: Sequence[str], seed: int
) -> list[str]:
    """What the text encoder is distilled on: captions, words alone, and both with articles, colours and adjectives.

    Args:
        captions: of stickers; a random choice of them if there are very many.
        names: of stickers.
        words: of English, by falling frequency.
        things: words and keywords that are near some name; each is said in several ways.
        seed: of the random choices.
    """
    source = random.Random(seed)
    said = source.sample(captions, CAPTIONS) if len(captions) > CAPTIONS else captions
    nouns = list(words[100:20000])
    made = [f"{source.choice(COLOUR_WORDS)} {source.choice(names)}" for _ in range(10000)]
    made += [with_article(f"{source.choice(ADJECTIVES)} {source.choice(names)}") for _ in range(15000)]
    made += [with_article(f"{source.choice(COLOUR_WORDS)} {source.choice(nouns)}") for _ in range(5000)]
    made += [with_article(f"{source.choice(ADJECTIVES)} {source.choice(nouns)}") for _ in range(5000)]
    made += [with_article(f"{source.choice(COLOUR_WORDS)} {thing}") for thing in things]
    made += [with_article(f"{source.choice(ADJECTIVES)} {thing}") for thing in things for _ in range(2)]
    made += [with_article(phrase) for phrase in (*names, *things, *words[100:])]
    made += [f"{source.choice(names)} and {source.choice(names)}" for _ in range(6000)]
    return list(dict.fromkeys([*said, *names, *things, *words[:20000], *made]))
