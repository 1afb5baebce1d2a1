"""Latents and caption states of a small set, drawn and cached."""

from dataclasses import replace

import pytest
import torch
from tiny_networks import TOKENS, tiny

from mobigen.data.latents import Conditions, LatentSet, encode_captions, encode_pictures
from mobigen.data.stickers import load_stickers, premultiply
from mobigen.data.synthetic import write_synthetic_shards
from mobigen.data.words import make_tokenizer, token_ids
from mobigen.models.autoencoder import Encoder
from mobigen.models.text_encoder import TextEncoder

CPU = torch.device("cpu")
MOVEMENTS = 3


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def stickers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stickers")
    write_synthetic_shards(folder, 6, 64)
    return load_stickers(folder, folder / "cache", recoloured=1, captions_each=4, size=64)


@pytest.fixture(scope="module")
def tokenizer(stickers):
    texts = [caption for sticker in stickers.stickers for caption in sticker.captions]
    return make_tokenizer(texts, texts, 50, TOKENS)


@pytest.fixture(scope="module")
def latents(stickers, tokenizer):
    table = encode_captions(stickers, tiny(TextEncoder), tokenizer, CPU)
    return LatentSet(encode_pictures(stickers, tiny(Encoder), MOVEMENTS, CPU), table)


@torch.no_grad()
def test_every_caption_has_its_states(stickers, tokenizer, latents):
    table, encoder = latents.table, tiny(TextEncoder)
    for index, sticker in enumerate(stickers.stickers):
        states, mask = encoder(torch.from_numpy(token_ids(tokenizer, sticker.captions)))
        rows = table.captions[index]
        torch.testing.assert_close(table.states[rows].float(), states, rtol=1e-3, atol=1e-3)
        assert torch.equal(table.masks[rows].float(), mask)
        assert table.styles[index] == sticker.style
    distinct = {caption for sticker in stickers.stickers for caption in sticker.captions}
    assert table.states.shape == (len(distinct), TOKENS, 16)


@torch.no_grad()
def test_the_first_movement_is_none(stickers, latents):
    assert latents.latents.shape == (len(stickers.stickers), MOVEMENTS, 4, 4, 4)
    assert latents.latents.dtype == torch.float16
    still = tiny(Encoder)(premultiply(stickers.images))
    torch.testing.assert_close(latents.latents[:, 0].float(), still, rtol=1e-2, atol=1e-2)
    assert (latents.latents[:, 1] - latents.latents[:, 0]).abs().max() > 0.01


@torch.no_grad()
def test_no_movement_mirrors(stickers):
    """Of pictures whose left half alone is opaque, the left half stays the opaque one."""
    lopsided = stickers.images.clone()
    lopsided[..., 3] = 0
    lopsided[:, :, :32] = 255
    pictures = replace(stickers, images=lopsided)
    moved = encode_pictures(pictures, lambda picture: picture[:, 3:, 16:48, 16:48], 5, CPU).float()
    left, right = moved.chunk(2, -1)
    assert (left.mean((2, 3, 4)) > right.mean((2, 3, 4)) + 1).all()


def test_chunks_do_not_matter(stickers, monkeypatch):
    whole = encode_pictures(stickers, tiny(Encoder), 1, CPU)
    monkeypatch.setattr("mobigen.data.latents.CHUNK", 5)
    torch.testing.assert_close(encode_pictures(stickers, tiny(Encoder), 1, CPU), whole)


def test_a_draw_is_a_picture_with_one_of_its_captions(latents, monkeypatch):
    monkeypatch.setattr("mobigen.data.latents.NOISE", 0)
    drawn, conditions = latents.draw(20, source())
    table = latents.table
    for latent, states, mask, style in zip(drawn, *conditions, strict=True):
        picture = (latents.latents.float() == latent).flatten(2).all(2).any(1).nonzero().item()
        rows = table.captions[picture]
        assert any(torch.equal(states, table.states[row].float()) for row in rows)
        assert any(torch.equal(mask, table.masks[row].float()) for row in rows)
        assert style.tolist() == [float(index == table.styles[picture]) for index in range(7)]
    assert torch.equal(latents.draw(20, source())[0], drawn)


def test_states_are_disturbed_by_as_much_as_they_deviate_or_less():
    told = Conditions(torch.randn(300, TOKENS, 16, generator=source()), torch.ones(300, TOKENS), torch.eye(7)[:1])
    deviation = torch.linspace(0.1, 2, 16)
    disturbed = told.disturbed(deviation, source(1))
    noise = (disturbed.text_states - told.text_states) / deviation
    strength = noise.flatten(1).std(1)
    assert strength.max() < 1.2 * 1.25
    assert strength.min() < 0.1
    assert strength.mean().item() == pytest.approx(0.6, abs=0.05)  # evenly from 0 to 1.2
    assert noise.mean().abs() < 0.03
    assert disturbed.text_mask is told.text_mask
    assert disturbed.style is told.style


def test_the_deviation_is_that_of_words_not_of_padding(latents):
    words = latents.table.states[latents.table.masks > 0].double().numpy()
    torch.testing.assert_close(latents.deviation, torch.tensor(words.std(0, ddof=1)).float(), rtol=1e-3, atol=1e-4)


def test_the_cache_is_what_was_saved_and_knows_what_it_was_made_from(latents, tmp_path):
    path = tmp_path / "latents.safetensors"
    assert not LatentSet.was_made_from(path, "encoder 1")
    latents.save(path, "encoder 1")
    assert [each.name for each in tmp_path.iterdir()] == ["latents.safetensors"]
    assert LatentSet.was_made_from(path, "encoder 1")
    assert not LatentSet.was_made_from(path, "encoder 2")
    again = LatentSet.load(path, CPU)
    assert torch.equal(again.latents, latents.latents)
    for name, tensor in vars(latents.table).items():
        assert torch.equal(getattr(again.table, name), tensor)


def test_conditions_can_be_taken_away():
    conditions = Conditions(torch.ones(2, 3, 4), torch.ones(2, 3), torch.ones(2, 7))
    told = conditions.without(torch.tensor([True, False]))
    assert told.text_mask.tolist() == [[0] * 3, [1] * 3]
    assert told.style.tolist() == [[0] * 7, [1] * 7]
    for part, nothing in zip(conditions.without(torch.tensor([True, True])), conditions.nothing(), strict=True):
        assert torch.equal(part, nothing)
