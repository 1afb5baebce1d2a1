"""What a prompt may be: English words in Latin letters, not too many."""

import unicodedata

from mobigen.errors import InputError

__all__ = ["LONGEST_PROMPT", "check_prompt"]

LONGEST_PROMPT = 300  # characters; more than any text encoder here reads


def check_prompt(prompt: str) -> str:
    """The prompt with its white space tidied.

    Raises:
        InputError: it is empty, longer than 300 characters, has no letters, or is not in Latin letters.
    """
    if not isinstance(prompt, str):
        raise InputError(f"a prompt is {type(prompt).__name__}; a string is expected")
    tidy = unicodedata.normalize("NFC", " ".join(prompt.split()))
    if not tidy:
        raise InputError("the prompt is empty; say what to draw, for example: a red apple")
    if len(tidy) > LONGEST_PROMPT:
        raise InputError(f"the prompt has {len(tidy)} characters; accepted: at most {LONGEST_PROMPT}")
    strange = next((character for character in tidy if not _is_latin(character)), None)
    if strange is not None:
        raise InputError(f"the prompt holds {strange!a}; English words in Latin letters are understood")
    if not any(character.isalpha() for character in tidy):
        raise InputError("the prompt has no letters; English words in Latin letters are understood")
    return tidy


def _is_latin(character: str) -> bool:
    """Whether a character belongs to European text: ASCII, Latin letters with accents, or punctuation."""
    if character.isascii():
        return character.isprintable()
    return unicodedata.name(character, "").startswith("LATIN ") or unicodedata.category(character).startswith("P")
