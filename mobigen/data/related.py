"""Related words: ordinary English words, each with the one sticker name that a sentence encoder finds nearest.

Captions then say a sofa where the name is a couch, so that the denoiser meets words that neither names nor keywords
hold. Similarities are cosines of centred embeddings: without the mean, which all of them share, a few names that mean
little are near to everything (Mu & Viswanath 2018, arXiv 1702.01417).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.data.captions import clean_name, with_article

__all__ = ["Near", "centred", "keywords_by_name", "nearest_names", "related_words"]

NEAR_WORD, NEAR_KEYWORD = 0.48, 0.45  # least similarities of a word of its own, and of a keyword of that very name
MOST = 12  # words a name
SHORTEST = 4  # letters; what is nearest to shorter words is chance, mostly
RARITY = 0.02  # of similarity that a word ten times as far down the list has to make up for
CHUNK = 4096  # words compared at once
OTHER_FORMS = re.compile(r".*(?:ed|ly|'\w+|[^aeo]al|ic|ous|ive|ful|less|able|[uo]lar)$")  # all but nouns, mostly
PERSON = re.compile(r"^(?:man|woman|person) (?!in |with )")


class Near(NamedTuple):
    """A word, the name nearest to it, and the cosine between them."""

    word: str
    name: str
    similarity: float


def keywords_by_name(records: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    """The clean keywords of all records of a clean name."""
    keywords: dict[str, set[str]] = {}
    for record in records:
        if name := clean_name(record["name"]):
            keywords.setdefault(name, set()).update(filter(None, map(clean_name, record.get("keywords") or [])))
    return keywords


def centred(embeddings: Tensor, mean: Tensor) -> Tensor:
    """`embeddings` (N, D) less their `mean` (D,), as unit vectors."""
    return F.normalize(embeddings.float() - mean, dim=1)


def nearest_names(words: Sequence[str], names: Sequence[str], embed: Callable[[Sequence[str]], Tensor]) -> list[Near]:
    """The name nearest to each word; `embed` gives embeddings (N, D) of N phrases."""
    vectors = embed([with_article(phrase) for phrase in (*names, *words)])
    vectors = centred(vectors, vectors.float().mean(0))
    places, rest = vectors[: len(names)], vectors[len(names) :]
    best = [(chunk @ places.T).max(1) for chunk in rest.split(CHUNK)]
    similarities = torch.cat([each.values for each in best]).tolist()
    indices = torch.cat([each.indices for each in best]).tolist()
    return [Near(*each) for each in zip(words, (names[index] for index in indices), similarities, strict=True)]


def related_words(
    near: Sequence[Near], keywords: Mapping[str, Collection[str]], left_out: Iterable[str]
) -> dict[str, list[str]]:
    """Up to MOST words a name, the most similar and most frequent first; names without any are absent.

    Args:
        near: words by falling frequency and keywords, with their nearest names.
        keywords: of each name.
        left_out: words that must not be used in any form, since a model is tested on them.
    """
    names, known, barred = set(keywords), {each.word for each in near}, [_stem(word) for word in left_out]
    scored: dict[str, list[tuple[float, str]]] = {}
    for rank, (word, name, similarity) in enumerate(near):
        chosen = word in keywords[name] or _is_noun(word, name, known)
        similar = similarity >= (NEAR_KEYWORD if word in keywords[name] else NEAR_WORD)
        apart = word not in names and len(word) >= SHORTEST and not _akin(word, name)
        if chosen and similar and apart and not any(stem in re.sub(r"\W", "", word) for stem in barred):
            scored.setdefault(name, []).append((similarity - RARITY * math.log10(rank + 100), word))
    kept = {name: [word for _, word in sorted(found, reverse=True)[:MOST]] for name, found in sorted(scored.items())}
    return _shared(kept, names)


def _stem(word: str) -> str:
    """What all forms of a word hold: `pony` -> `pon`, for ponies; `sobbing` -> `sob`; `policeman` -> `policem`."""
    if word.endswith("ing"):
        word = re.sub(r"(.)\1$", r"\1", word[:-3])
    return re.sub(r"(?:ess|an|[aeiouyfs])$", "", word) if len(word) > 4 else re.sub(r"[yf]$", "", word)


def _is_noun(word: str, name: str, known: Collection[str]) -> bool:
    """False for what looks like another word's form, and for most adjectives."""
    plural = word.endswith("s") and any(stem in known for stem in (word[:-1], word[:-2], word[:-3] + "y"))
    acting = word.endswith("ing") and "ing" not in name
    return not (plural or acting or OTHER_FORMS.match(word))


def _akin(word: str, name: str) -> bool:
    """True if a part of `word` is spelled like one of `name`, by descent or by chance (baffle, waffle)."""
    return any(_alike(part, other) for part in re.split(r"[\s-]", word) for other in re.split(r"[\s-]", name))


def _alike(one: str, other: str) -> bool:
    least = min(3, len(one), len(other))
    return one[:least] == other[:least] or SequenceMatcher(None, one, other).ratio() >= 0.6


def _shared(kept: dict[str, list[str]], names: Collection[str]) -> dict[str, list[str]]:
    """With those of `health worker` for `man health worker` too, and of `person running` for `man running`."""
    shared = {}
    for name in sorted(names):
        bare = PERSON.sub("", name)
        same = [name] if bare == name else list(dict.fromkeys([name, bare, f"person {bare}"]))
        if found := [word for each in same for word in kept.get(each, [])]:
            shared[name] = found[:MOST]
    return shared
