"""What is said of a sticker."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.data.captions import COLOUR_WORDS, captions, clean_name, in_colour, with_article


def said(record, colour=None, recoloured=False, count=400, seed=0, related=()):
    return captions(record, colour, recoloured, count, random.Random(seed), related)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("Red Apple", "red apple"),
        ("family: man, girl", "family man girl"),
        ("woman’s hat", "woman's hat"),
        ("  T-Shirt (blue) ", "t-shirt blue"),
        ("!!!", ""),
        ("piñata", "piñata"),
    ],
)
def test_names_are_cleaned(name, cleaned):
    assert clean_name(name) == cleaned


@given(st.text(max_size=30))
def test_a_clean_name_is_clean(name):
    assert clean_name(clean_name(name)) == clean_name(name)


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("apple", "an apple"),
        ("red apple", "a red apple"),
        ("the moon", "the moon"),
        ("flag france", "flag france"),
        ("keycap 3", "keycap 3"),
        ("3 o'clock", "3 o'clock"),
    ],
)
def test_articles(phrase, expected):
    assert with_article(phrase) == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("apple", "purple apple"),
        ("green apple", "purple apple"),
        ("black and white cat", "purple and cat"),
        ("orange", "purple orange"),  # the fruit
    ],
)
def test_a_colour_replaces_colour_words(phrase, expected):
    assert in_colour(phrase, "purple") == expected


def test_a_recoloured_sticker_says_its_new_colour_and_no_other():
    record = {"name": "green apple", "keywords": ["fruit", "red thing", "green", "tree fruit"]}
    for caption in said(record, "purple", recoloured=True):
        assert set(caption.replace(",", "").split()) & set(COLOUR_WORDS) == {"purple"}


def test_an_original_says_its_colour_sometimes():
    shares = [("red" in caption.split()) for caption in said({"name": "apple"}, "red")]
    assert 0.2 < sum(shares) / len(shares) < 0.4


def test_forms_vary():
    forms = said({"name": "apple", "keywords": ["fruit", "food"]})
    assert {"apple", "an apple", "apple, fruit", "apple, food"} <= set(forms)
    assert {"fruit food", "food fruit"} & {form.removeprefix("a ") for form in forms}


def test_a_skin_tone_is_always_said():
    record = {"name": "waving hand", "keywords": ["hello", "hand"], "skin_tone": "medium-dark"}
    assert all(caption.endswith(" with medium-dark skin tone") for caption in said(record))


def test_related_words_stand_for_the_name_in_a_few_captions():
    record = {"name": "couch", "keywords": ["seat", "room"], "skin_tone": "dark"}
    made = said(record, "red", count=2000, related=["sofa", "settee"])
    related = [caption for caption in made if "sofa" in caption or "settee" in caption]
    assert 0.23 < len(related) / 2000 < 0.27
    assert not any("couch" in caption for caption in related)
    assert all(caption.endswith(" with dark skin tone") for caption in related)
    assert {"a sofa", "settee", "a red sofa"} <= {caption.removesuffix(" with dark skin tone") for caption in related}


def test_without_related_words_the_captions_stay_as_they_were():
    record = {"name": "couch", "keywords": ["seat", "room"]}
    assert said(record) == captions(record, None, False, 400, random.Random(0))
    assert all("rose" not in caption for caption in said(record, "red", True, related=["green rose"]))


@pytest.mark.parametrize("record", [{"name": "!!!"}, {"name": "", "keywords": None}, {"name": "…", "keywords": ["?!"]}])
def test_a_name_without_letters_is_a_symbol(record):
    assert set(said(record)) == {"symbol", "a symbol"}


words = st.text(max_size=20)


@given(
    st.fixed_dictionaries({"name": words}, optional={"keywords": st.lists(words, max_size=4) | st.none()}),
    st.none() | st.sampled_from(COLOUR_WORDS),
    st.booleans(),
    st.integers(0, 9),
)
def test_there_is_always_something_to_say(record, colour, recoloured, count):
    made = said(record, colour, recoloured, count)
    assert len(made) == count
    assert all(caption.strip() for caption in made)
    assert made == said(record, colour, recoloured, count)
