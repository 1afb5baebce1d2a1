"""The sticker set: decoded once, the same every time."""

import io
import json

import numpy as np
import pytest
import torch
import webdataset as wds
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mobigen.data import stickers as stickers_module
from mobigen.data.recolour import COLOURS, colour_shares
from mobigen.data.stickers import STYLES, StickerBatches, load_overlays, load_stickers, premultiply
from mobigen.data.synthetic import draw_shape, write_synthetic_shards
from mobigen.errors import InputError

SIZE = 48


def write_shard(folder, records, image=None, suffix="png"):
    folder.mkdir(parents=True, exist_ok=True)
    with wds.TarWriter(str(folder / "some.tar")) as writer:
        for index, record in enumerate(records):
            file = io.BytesIO()
            Image.fromarray(draw_shape("circle", "red", SIZE) if image is None else image).save(file, suffix)
            writer.write({"__key__": f"{index}", suffix: file.getvalue(), "json": json.dumps(record).encode()})
    return folder


def load(folder, cache, **options):
    return load_stickers(folder, cache, **{"recoloured": 2, "captions_each": 3, "size": SIZE, **options})


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_synthetic_shards(folder, 12, SIZE)
    return folder


@pytest.fixture
def decodings(monkeypatch):
    """Counts how often shards are decoded."""
    calls, decode = [], stickers_module._decode

    def counted(*arguments):
        calls.append(arguments)
        decode(*arguments)

    monkeypatch.setattr(stickers_module, "_decode", counted)
    return calls


def same(one, other):
    return torch.equal(one.images, other.images) and one.stickers == other.stickers


# --- the cache ----------------------------------------------------------------------------------------------


def test_the_cache_is_used_again(shards, tmp_path, decodings):
    first, second = load(shards, tmp_path), load(shards, tmp_path)
    assert len(decodings) == 1
    assert same(first, second)


def test_decoding_twice_gives_the_same(shards, tmp_path):
    assert same(load(shards, tmp_path / "one"), load(shards, tmp_path / "two"))


@pytest.mark.parametrize(
    "change", [{"recoloured": 1}, {"captions_each": 2}, {"size": 32}, {"related": {"red circle": ["ring"]}}]
)
def test_other_settings_decode_anew(shards, tmp_path, decodings, change):
    load(shards, tmp_path)
    changed = load(shards, tmp_path, **change)
    assert len(decodings) == 2
    assert same(changed, load(shards, tmp_path / "other", **change))


def test_other_shards_decode_anew(tmp_path, decodings):
    write_synthetic_shards(tmp_path / "shards", 3, SIZE)
    load(tmp_path / "shards", tmp_path / "cache")
    write_synthetic_shards(tmp_path / "shards", 4, SIZE)
    assert sum(sticker.original for sticker in load(tmp_path / "shards", tmp_path / "cache").stickers) == 4
    assert len(decodings) == 2


@pytest.mark.parametrize("before", [None, {"size": 32}])
def test_a_cache_half_written_is_not_used(shards, tmp_path, monkeypatch, before):
    """Neither where there was none, nor where it takes the place of another that is asked for again."""
    whole = load(shards, tmp_path / "whole", **(before or {}))
    if before:
        load(shards, tmp_path / "cache", **before)
    variants = stickers_module._variants

    def interrupted(sample, settings):
        if sample.key == "00009":
            raise KeyboardInterrupt
        return variants(sample, settings)

    with monkeypatch.context() as patch:
        patch.setattr(stickers_module, "_variants", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load(shards, tmp_path / "cache")
    assert same(load(shards, tmp_path / "cache", **(before or {})), whole)


def test_decoding_in_chunks_gives_the_same(shards, tmp_path, monkeypatch):
    whole = load(shards, tmp_path / "one")
    monkeypatch.setattr(stickers_module, "CHUNK", 5)
    assert same(load(shards, tmp_path / "two"), whole)


# --- what is in the set -------------------------------------------------------------------------------------


def test_originals_are_as_they_were_and_copies_have_the_colour_that_they_say(shards, tmp_path):
    loaded = load(shards, tmp_path)
    assert loaded.images.shape == (len(loaded.stickers), SIZE, SIZE, 4)
    assert any(not sticker.original for sticker in loaded.stickers)
    for image, sticker in zip(loaded.images.numpy(), loaded.stickers, strict=True):
        assert len(sticker.captions) == 3
        if not sticker.original:
            shares = colour_shares(image)
            colour = max(shares, key=shares.get)
            assert all(colour in caption.split() for caption in sticker.captions)


def test_copies_follow_their_original_in_other_colours(tmp_path):
    write_shard(tmp_path / "in", [{"name": "ball"}])
    loaded = load(tmp_path / "in", tmp_path / "cache", recoloured=3)
    assert [sticker.original for sticker in loaded.stickers] == [True, False, False, False]
    colours = [max(shares, key=shares.get) for shares in map(colour_shares, loaded.images.numpy())]
    assert colours[0] == "red"
    assert len(set(colours)) == 4
    assert set(colours) <= set(COLOURS)


@pytest.mark.parametrize("record", [{"group": "Flags"}, {"group": "People & Body"}, {"skin_tone": "dark"}])
def test_skin_and_flags_keep_their_colours(tmp_path, record):
    write_shard(tmp_path / "in", [{"name": "ball", **record}])
    assert len(load(tmp_path / "in", tmp_path / "cache").stickers) == 1


@pytest.mark.parametrize(
    ("record", "mirrorable"),
    [
        ({"name": "ball", "group": "Objects"}, True),
        ({"name": "ball"}, True),
        ({"name": "Clock face"}, False),
        ({"name": "person facing right"}, False),
        ({"name": "ball", "group": "Symbols"}, False),
        ({"name": "ball", "group": "Flags"}, False),
    ],
)
def test_text_like_signs_are_not_mirrored(tmp_path, record, mirrorable):
    write_shard(tmp_path / "in", [record])
    assert {sticker.mirrorable for sticker in load(tmp_path / "in", tmp_path / "cache").stickers} == {mirrorable}


def test_styles_are_indices_and_the_first_is_assumed(tmp_path):
    write_shard(tmp_path / "in", [{"name": "ball", "style": style} for style in STYLES] + [{"name": "ball"}])
    loaded = load(tmp_path / "in", tmp_path / "cache", recoloured=0)
    assert [sticker.style for sticker in loaded.stickers] == [*range(len(STYLES)), 0]


def test_pictures_of_other_sizes_and_without_alpha_are_taken(tmp_path):
    write_shard(tmp_path / "in", [{"name": "ball"}], image=np.full((96, 96, 3), (10, 200, 30), np.uint8))
    image = load(tmp_path / "in", tmp_path / "cache").images[0]
    assert image.shape == (SIZE, SIZE, 4)
    assert image.unique(dim=0).unique(dim=1).flatten().tolist() == [10, 200, 30, 255]


@pytest.mark.parametrize(
    ("record", "image"),
    [
        ({}, None),
        ({"name": 3}, None),
        ({"name": "ball", "style": "oil"}, None),
        ({"name": "ball"}, np.zeros((8, 8), np.uint8)),
        ({"name": "ball"}, np.zeros((8, 8), np.uint16)),
    ],
)
def test_samples_that_cannot_be_used(tmp_path, record, image):
    write_shard(tmp_path / "in", [record], image)
    with pytest.raises(InputError, match=r"sample 0 needs an 8-bit colour picture, a name and a style of: 3d, color"):
        load(tmp_path / "in", tmp_path / "cache")


def test_a_picture_that_is_none(tmp_path):
    with wds.TarWriter(str(tmp_path / "some.tar")) as writer:
        writer.write({"__key__": "0", "png": b"soup", "json": b'{"name": "ball"}'})
    with pytest.raises(InputError, match="sample 0 needs"):
        load(tmp_path, tmp_path / "cache")


# --- parts and batches --------------------------------------------------------------------------------------


def test_held_out_originals_are_nobody_elses(shards, tmp_path):
    loaded = load(shards, tmp_path)
    kept, held_out = loaded.held_out(0.25)
    assert (len(kept.stickers), len(held_out.stickers)) == (9, 3)
    assert all(sticker.original for sticker in [*kept.stickers, *held_out.stickers])
    pictures = {image.numpy().tobytes() for image in [*kept.images, *held_out.images]}
    originals = loaded.images[[sticker.original for sticker in loaded.stickers]]
    assert pictures == {image.numpy().tobytes() for image in originals}
    assert same(loaded.held_out(0.25)[1], held_out)


@given(st.tuples(*[st.integers(0, 255)] * 4))
def test_premultiplying(rgba):
    alpha = rgba[3] / 255
    expected = [(channel / 127.5 - 1) * alpha for channel in rgba[:3]] + [2 * alpha - 1]
    result = premultiply(torch.tensor(rgba, dtype=torch.uint8).reshape(1, 1, 1, 4))
    torch.testing.assert_close(result.flatten(), torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_batches_are_in_range_and_repeat(shards, tmp_path):
    batches = StickerBatches(load(shards, tmp_path), torch.device("cpu"))
    drawn, images = batches.draw(6, torch.Generator().manual_seed(4))
    again = batches.draw(6, torch.Generator().manual_seed(4))
    assert torch.equal(drawn, again[0])
    assert torch.equal(images, again[1])
    assert images.shape == (6, 4, SIZE, SIZE)
    assert images.abs().max() <= 1 + 1e-5


def test_overlays_are_the_stickers_in_their_own_colours(tmp_path):
    assert load_overlays(tmp_path, tmp_path / "cache") is None
    write_synthetic_shards(tmp_path / "stickers", 3, SIZE)
    overlays = load_overlays(tmp_path, tmp_path / "cache", 32)
    assert overlays.shape == (3, 32, 32, 4)
    expected = load_stickers(tmp_path / "stickers", tmp_path / "other", recoloured=0, size=32)
    assert torch.equal(overlays, expected.images)
