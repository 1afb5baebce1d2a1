"""Words become states; padding does not matter."""

import pytest
import torch
from tiny_networks import TOKENS, tiny

from mobigen.models.text_encoder import TextEncoder


@pytest.fixture(scope="module")
def encoder():
    return tiny(TextEncoder)


def ids(*words, length=TOKENS):
    return torch.tensor([[*words, *[0] * (length - len(words))]], dtype=torch.int32)


@torch.no_grad()
def test_the_mask_has_a_one_for_each_word(encoder):
    _, mask = encoder(ids(4, 5, 6))
    assert mask.tolist() == [[1, 1, 1] + [0] * (TOKENS - 3)]


@torch.no_grad()
def test_padding_does_not_change_the_words(encoder):
    long, _ = encoder(ids(4, 5, 6))
    short, _ = encoder(ids(4, 5, 6, length=3))
    torch.testing.assert_close(long[:, :3], short, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder.embed_sentence(ids(4, 5, 6)), encoder.embed_sentence(ids(4, 5, 6, length=3)))


@torch.no_grad()
def test_word_order_matters(encoder):
    assert not torch.allclose(encoder.embed_sentence(ids(4, 5)), encoder.embed_sentence(ids(5, 4)))


@torch.no_grad()
def test_a_sentence_is_the_normalised_projection_of_the_mean_state(encoder):
    states, _ = encoder(ids(4, 5, 6))
    mean = states[0, :3].mean(0)
    projected = encoder.sentence.weight @ mean + encoder.sentence.bias
    torch.testing.assert_close(encoder.embed_sentence(ids(4, 5, 6))[0], projected / projected.norm())


@torch.no_grad()
def test_no_words_at_all_is_a_number(encoder):
    states, mask = encoder(ids())
    assert torch.isfinite(states).all()
    assert mask.sum() == 0
    assert torch.isfinite(encoder.embed_sentence(ids())).all()


@torch.no_grad()
def test_new_entries_begin_as_the_mean_of_their_pieces(encoder):
    wider = encoder.with_entries(encoder.vocabulary, [(4, 5), (6,)])
    assert wider.vocabulary == encoder.vocabulary + 2
    assert wider.signature().inputs[0].high == encoder.vocabulary + 1
    rows = encoder.embedding.weight
    torch.testing.assert_close(wider.embedding.weight[-2], (rows[4] + rows[5]) / 2)
    torch.testing.assert_close(wider(ids(encoder.vocabulary + 1, 9))[0], encoder(ids(6, 9))[0])
    torch.testing.assert_close(wider.embed_sentence(ids(4, 7)), encoder.embed_sentence(ids(4, 7)))


def test_a_wider_one_comes_back_from_its_file(encoder, tmp_path):
    encoder.with_entries(encoder.vocabulary, [(4, 5)]).save_component(tmp_path)
    assert TextEncoder.from_pretrained(tmp_path / "text_encoder").vocabulary == encoder.vocabulary + 1


@torch.no_grad()
def test_entries_that_no_word_had_yet_are_used_first(encoder):
    same_size = encoder.with_entries(encoder.vocabulary - 2, [(4, 5)])
    assert same_size.vocabulary == encoder.vocabulary
    rows = encoder.embedding.weight
    torch.testing.assert_close(same_size.embedding.weight[-2], (rows[4] + rows[5]) / 2)
    torch.testing.assert_close(same_size.embedding.weight[-1], rows[-1])
