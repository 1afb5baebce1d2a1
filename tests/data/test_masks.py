"""Photos with label maps: read once, split by key, letterboxed."""

import io
import json

import cv2
import numpy as np
import pytest
import webdataset as wds

from mobigen.data.masks import is_held_out, load_masks
from mobigen.data.shards import pack_folder
from mobigen.data.synthetic import draw_figure, write_synthetic_masks
from mobigen.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_synthetic_masks(folder, 40, 96)
    return folder


@pytest.fixture(scope="module")
def masks(folder, tmp_path_factory):
    return load_masks(folder, tmp_path_factory.mktemp("cache"), 64)


def test_photos_and_labels_belong_together(masks):
    source = np.random.default_rng(0)
    for index in range(4):
        photo, labels = draw_figure(96, source)
        np.testing.assert_allclose(
            masks.images[index], cv2.resize(photo, (64, 64), interpolation=cv2.INTER_AREA), atol=90
        )
        found = masks.labels[index].numpy()
        middles = ((np.arange(64) + 0.5) * 96 / 64).astype(int)
        wanted = labels[np.ix_(middles, middles)]
        np.testing.assert_array_equal(found > 0, wanted > 0)
        assert set(np.unique(found)) == ({0, 255} if index % 2 else {0, 1, 2, 3})


def test_labels_that_can_be_asked_for_and_their_names(masks):
    assert masks.present[0].nonzero().flatten().tolist() == [1, 2, 3]
    assert masks.present[1].nonzero().flatten().tolist() == [255]
    assert masks.names[0] == {0: "null", 1: "body", 2: "head", 3: "bag"}


def test_the_split_is_by_key_and_nothing_is_in_both(masks):
    kept, held = masks.split()
    assert set(kept.keys) | set(held.keys) == set(masks.keys)
    assert not set(kept.keys) & set(held.keys)
    assert len(held.keys) > 0
    assert all(map(is_held_out, held.keys))
    assert len(kept.images) == len(kept.names) == len(kept.present) == len(kept.keys)


def test_the_held_out_share_is_what_is_said():
    assert 0.1 < np.mean([is_held_out(f"people-{index:04d}") for index in range(3000)]) < 0.14


def test_a_second_reading_comes_from_the_cache_until_a_shard_changes(folder, tmp_path):
    load_masks(folder, tmp_path, 32)
    before = (tmp_path / "masks.rgb").stat().st_mtime_ns
    load_masks(folder, tmp_path, 32)
    assert (tmp_path / "masks.rgb").stat().st_mtime_ns == before
    assert load_masks(folder, tmp_path, 64).images.shape[1:] == (64, 64, 3)


def test_a_packed_folder_of_photos_and_label_maps_is_read_under_their_names(tmp_path):
    (tmp_path / "in").mkdir()
    for name, suffix in (("rex", "jpg"), ("ada", "JPEG")):
        photo, labels = draw_figure(64, np.random.default_rng(len(suffix)))
        (tmp_path / "in" / f"{name}.{suffix}").write_bytes(cv2.imencode(".jpg", photo)[1].tobytes())
        (tmp_path / "in" / f"{name}.png").write_bytes(cv2.imencode(".png", labels)[1].tobytes())
        (tmp_path / "in" / f"{name}.json").write_text('{"parts": {"1": "body", "2": "head", "3": "bag"}}')
    assert pack_folder(tmp_path / "in", tmp_path / "masks") == 2
    masks = load_masks(tmp_path / "masks", tmp_path / "cache", 64)
    assert masks.keys == ["ada", "rex"]
    assert masks.names[1] == {1: "body", 2: "head", 3: "bag"}
    np.testing.assert_array_equal(masks.labels[1], draw_figure(64, np.random.default_rng(3))[1])


def write_sample(folder, photo_size=(40, 30), label_size=(40, 30), record=b'{"parts": {"1": "hat"}}', leave=()):
    def encode(suffix, shape):
        return cv2.imencode(suffix, np.zeros(shape, np.uint8))[1].tobytes()

    sample = {
        "__key__": "odd", "jpg": encode(".jpg", (*photo_size[::-1], 3)), "png": encode(".png", label_size[::-1]),
        "json": record,
    }  # fmt: skip
    with wds.TarWriter(str(folder / "one.tar")) as writer:
        writer.write({name: value for name, value in sample.items() if name not in leave})


@pytest.mark.parametrize(
    "problem",
    [
        {"label_size": (30, 40)},
        {"leave": ["jpg"]},
        {"leave": ["png"]},
        {"leave": ["json"]},
        {"record": b"{}"},
        {"record": b'{"parts": {"hat": 1}}'},
    ],
    ids=str,
)
def test_a_sample_that_is_no_photo_with_labels_is_named(tmp_path, problem):
    write_sample(tmp_path, **problem)
    with pytest.raises(InputError, match="sample odd needs a photo"):
        load_masks(tmp_path, tmp_path / "cache", 32)
    assert not (tmp_path / "cache").exists()


def test_proportions_are_kept(tmp_path):
    write_sample(tmp_path)
    masks = load_masks(tmp_path, tmp_path / "cache", 32)
    assert masks.sizes.tolist() == [[24, 32]]
    assert masks.images[0, 24:].float().mean((0, 1)).tolist() == [124, 116, 104]
    assert json.loads((tmp_path / "cache" / "masks.json").read_text())["samples"][0]["key"] == "odd"


def test_a_damaged_shard(tmp_path):
    (tmp_path / "bad.tar").write_bytes(io.BytesIO(b"x" * 2000).getvalue())
    with pytest.raises(InputError, match="is damaged"):
        load_masks(tmp_path, tmp_path / "cache", 32)
