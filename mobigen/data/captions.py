"""Captions of a sticker: many ways of saying its name, its keywords and its colour."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["captions", "clean_name", "in_colour", "with_article"]

COLOUR_WORDS = (
    "red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "brown", "black", "white", "gray", "grey",
    "violet",
)  # fmt: skip
RELATED = 0.25  # of the captions, where there are related words
BARE_NOUNS = re.compile(r"^(?:the |a |an |flag|keycap|[0-9])")


def clean_name(name: str) -> str:
    """`family: man, girl` -> `family man girl`: lower case, no punctuation but hyphens and apostrophes."""
    plain = name.lower().replace("’", "'")
    return " ".join(re.sub(r"[^\w\s'&+-]", " ", plain).split())


def with_article(phrase: str) -> str:
    """`apple` -> `an apple`; names that take no article stay."""
    if BARE_NOUNS.match(phrase):
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def in_colour(phrase: str, colour: str) -> str:
    """`green apple` in purple -> `purple apple`: the colour replaces a colour word, or comes first."""
    *rest, last = phrase.split()
    kept = [*(word for word in rest if word not in COLOUR_WORDS), last]
    return " ".join([colour, *kept])


def captions(
    record: dict[str, Any],
    colour: str | None,
    recoloured: bool,
    count: int,
    source: random.Random,
    related: Sequence[str] = (),
) -> list[str]:
    """`count` captions of one picture; repeats are how often a form is seen.

    Args:
        record: `name`, and optionally `keywords` and `skin_tone`.
        colour: the word for its dominant colour, or None if it has none.
        recoloured: True if the colour is not the natural one, so that every caption must say it.
        count: how many.
        source: of randomness.
        related: words that can stand for the name, see `related_words`; a few captions say one in its place.
    """
    name = clean_name(record["name"]) or "symbol"
    keywords = [word for word in map(clean_name, record.get("keywords") or []) if word and word != name]
    if recoloured and colour:
        keywords, related = _without_colours(keywords), _without_colours(related)
    tone = record.get("skin_tone")
    return [_caption(name, keywords, related, tone, colour, recoloured, source) for _ in range(count)]


def _without_colours(words: Sequence[str]) -> list[str]:
    return [word for word in words if not set(word.split()) & set(COLOUR_WORDS)]


def _caption(
    name: str,
    keywords: Sequence[str],
    related: Sequence[str],
    skin_tone: str | None,
    colour: str | None,
    recoloured: bool,
    source: random.Random,
) -> str:
    said = name
    if related and source.random() < RELATED:
        said = source.choice(related)
    elif len(keywords) >= 2 and source.random() < 0.15:
        said = " ".join(source.sample(keywords, 2))
    if colour and (recoloured or source.random() < 0.3):
        said = in_colour(said, colour)
    form = source.random()
    if form < 0.45:
        said = with_article(said)
    elif form < 0.6 and keywords:
        said = f"{said}, {source.choice(keywords)}"
    return f"{said} with {skin_tone} skin tone" if skin_tone else said
