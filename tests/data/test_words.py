"""The tokenizer, and the phrases that a text encoder learns from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.data.captions import COLOUR_WORDS
from mobigen.data.words import ADJECTIVES, extend_tokenizer, make_tokenizer, phrases, token_ids

LETTERS = [*"abcdefghijklmnopqrstuvwxyz"]
WORDS = ["apple", "banana", "apples", "cherry", "physician", "automobile", "grin", "don't", *LETTERS]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer(["a red apple", "Crème brûlée"], WORDS, vocabulary=400, tokens=6)


def test_padding_is_0_and_the_unknown_is_1(tokenizer):
    assert tokenizer.token_to_id("[PAD]") == 0
    assert tokenizer.token_to_id("[UNK]") == 1
    assert token_ids(tokenizer, ["日本"]).tolist() == [[1, 1, 0, 0, 0, 0]]
    assert token_ids(tokenizer, [""]).tolist() == [[0] * 6]


def test_words_of_captions_are_one_token_each(tokenizer):
    ids = token_ids(tokenizer, ["A RED apple", "creme brulee"])
    assert (ids != 0).sum(1).tolist() == [3, 2]
    assert 1 not in ids


def test_other_words_come_in_pieces(tokenizer):
    pieces = tokenizer.encode("bananapple").tokens
    assert "".join(piece.removeprefix("##") for piece in pieces if piece != "[PAD]") == "bananapple"
    assert "[UNK]" not in pieces


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_ids_have_one_shape_and_are_in_the_vocabulary(texts):
    tokenizer = make_tokenizer(["a red apple"], WORDS, vocabulary=60, tokens=6)
    ids = token_ids(tokenizer, texts)
    assert (ids.shape, ids.dtype) == ((len(texts), 6), np.int32)
    assert ids.min() >= 0
    assert ids.max() < 60


def test_a_tokenizer_comes_back_from_its_file(tokenizer, tmp_path):
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = type(tokenizer).from_file(str(tmp_path / "tokenizer.json"))
    texts = ["a red apple", "an automobile with a grin and a physician"]
    np.testing.assert_array_equal(token_ids(again, texts), token_ids(tokenizer, texts))


def test_the_vocabulary_is_full_and_common_words_come_first():
    common = [f"{a}{b}{c}" for a in "abcde" for b in LETTERS for c in LETTERS]
    tokenizer = make_tokenizer(["a red apple"], common, vocabulary=2000, tokens=6)
    known = tokenizer.get_vocab()
    assert len(known) == 2000
    assert {"red", "apple", common[0]} <= set(known)
    assert common[-1] not in known


def test_an_extended_tokenizer_keeps_its_ids_and_appends_what_it_knew_in_pieces(tokenizer):
    known = tokenizer.get_vocab_size()
    extended = extend_tokenizer(tokenizer, ["a red apple", "Crèmes and a Kayak", "gorilla"], known + 3)
    assert tokenizer.get_vocab_size() == known
    assert extended.get_vocab().items() > tokenizer.get_vocab().items()
    assert [extended.id_to_token(known + index) for index in range(3)] == ["cremes", "and", "kayak"]
    assert (token_ids(extended, ["a kayak and a gorilla"])[0] != 1).all()
    texts = ["a red apple", "an automobile"]
    np.testing.assert_array_equal(token_ids(extended, texts), token_ids(tokenizer, texts))
    assert extended.encode("a kayak").ids == [tokenizer.token_to_id("a"), known + 2, 0, 0, 0, 0]


def said_of(captions, seed=0):
    return phrases(captions, ["apple", "pear"], [f"w{i}" for i in range(150)], ["orchard"], seed)


def test_phrases_hold_captions_words_and_things_and_all_with_adjectives():
    made = said_of(["a red apple"])
    assert {"a red apple", "w0", "w149", "a w149", "apple and pear", "orchard", "an orchard", "a pear"} <= set(made)
    assert len(made) == len(set(made))
    assert any(phrase.split()[0] in COLOUR_WORDS for phrase in made)
    assert any(set(phrase.split()) & set(ADJECTIVES) for phrase in made)
    assert any(phrase.endswith(" orchard") and set(phrase.split()) & set(COLOUR_WORDS) for phrase in made)
    assert made == said_of(["a red apple"])
    assert made != said_of(["a red apple"], seed=1)


def test_of_very_many_captions_some_are_taken(monkeypatch):
    monkeypatch.setattr("mobigen.data.words.CAPTIONS", 5)
    captions = [f"caption {index}" for index in range(40)]
    assert len(set(captions) & set(said_of(captions))) == 5
