"""Words that can stand for a sticker's name."""

import pytest
import torch

from mobigen.data.related import MOST, Near, centred, keywords_by_name, nearest_names, related_words

KEYWORDS = {
    "couch": {"seat", "lounge"},
    "horse": {"racing"},
    "man singer": set(),
    "singer": set(),
    "person running": set(),
}
KEYWORDS |= {"man running": set(), "bed": set(), "person in bed": set()}


def found(*near, left_out=()):
    return related_words([Near(*each) for each in near], KEYWORDS, left_out)


def test_keywords_are_of_all_records_of_a_clean_name():
    records = [
        {"name": "Couch", "keywords": ["Seat", "?!"]},
        {"name": "couch", "keywords": None},
        {"name": "couch!", "keywords": ["lounge"]},
        {"name": "…", "keywords": ["dots"]},
    ]
    assert keywords_by_name(records) == {"couch": {"seat", "lounge"}}


def test_the_nearest_name_is_that_of_the_centred_embeddings():
    vector = {"a couch": [3.0, 1.0], "a horse": [3.0, -1.0], "a sofa": [3.0, 0.5], "a pony": [9.0, -0.5]}
    near = nearest_names(
        ["sofa", "pony"], ["couch", "horse"], lambda said: torch.tensor([vector[each] for each in said])
    )
    assert [each[:2] for each in near] == [("sofa", "couch"), ("pony", "horse")]
    one, other = torch.tensor([-1.5, 1.0]), torch.tensor([-1.5, 0.5])  # less the mean, which is (4.5, 0)
    assert near[0].similarity == pytest.approx(torch.cosine_similarity(one, other, dim=0).item(), abs=1e-6)


def test_centred_embeddings_are_unit_vectors():
    vectors = centred(torch.tensor([[3.0, 5.0], [1.0, 1.0]]), torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(vectors, torch.tensor([[0.6, 0.8], [1.0, 0.0]]))


def test_what_is_not_near_is_not_related_and_keywords_may_be_farther():
    near = [("sofa", "couch", 0.7), ("table", "couch", 0.52), ("seat", "couch", 0.52), ("racing", "horse", 0.4)]
    assert found(*near) == {"couch": ["sofa", "seat"]}


@pytest.mark.parametrize(
    "word", ["couches", "couch", "horse", "slouch", "red", "lounged", "equinely", "chair's", "romantic", "sitting"]
)
def test_what_looks_like_the_name_or_like_no_noun_is_not_related(word):
    assert found((word, "couch", 0.9)) == {}


def test_a_plural_is_left_to_its_singular():
    assert found(("sofa", "couch", 0.9), ("sofas", "couch", 0.95)) == {"couch": ["sofa"]}
    assert found(("pony", "horse", 0.9), ("ponies", "horse", 0.95)) == {"horse": ["pony"]}


@pytest.mark.parametrize(
    ("tested", "word"),
    [
        ("pony", "ponies"),
        ("pony", "pony-tail"),
        ("calf", "calves"),
        ("policeman", "policemen"),
        ("policeman", "police man"),
        ("sobbing", "sobbed"),
        ("residence", "residences"),
        ("fortress", "fortresses"),
        ("motorbike", "motorbiker"),
        ("cellphone", "cell phone"),
        ("spectacles", "spectacle"),
        ("skyscraper", "skyscraper"),
    ],
)
def test_a_word_that_is_left_out_is_so_in_all_its_forms(tested, word):
    keywords = {"thing": {word}}
    assert related_words([Near(word, "thing", 0.9)], keywords, [])
    assert related_words([Near(word, "thing", 0.9)], keywords, [tested]) == {}


def test_the_most_similar_come_first_and_then_the_most_frequent():
    words = [f"{letter}{letter}word" for letter in "abdefgijklmnopqr"]
    near = [(word, "couch", 0.6 + 0.01 * index) for index, word in enumerate(words)]
    assert found(*near) == {"couch": words[::-1][:MOST]}
    assert found(("aaword", "couch", 0.7), ("bbword", "couch", 0.7)) == {"couch": ["aaword", "bbword"]}


def test_names_that_differ_by_the_person_share_words():
    assert found(("vocals", "singer", 0.9)) == {"man singer": ["vocals"], "singer": ["vocals"]}
    assert found(("tenor", "man singer", 0.9)) == {"man singer": ["tenor"]}
    assert found(("jogger", "person running", 0.9)) == {"man running": ["jogger"], "person running": ["jogger"]}
    assert found(("mattress", "bed", 0.9)) == {"bed": ["mattress"]}
