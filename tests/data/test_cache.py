"""Caches: whole with their listing, or not there."""

import json

import pytest

from mobigen.data.cache import fingerprint, is_current, refilled


def fill(folder, fails=False):
    with refilled(folder / "list.json", "a", "b") as (listing, (first, second)):
        listing["names"] = ["one"]
        first.write(b"1")
        second.write(b"2")
        if fails:
            raise KeyboardInterrupt


def test_files_and_what_vouches_for_them(tmp_path):
    fill(tmp_path / "run" / "cache")
    place = tmp_path / "run" / "cache"
    assert {path.name for path in place.iterdir()} == {"a", "b", "list.json"}
    assert json.loads((place / "list.json").read_text()) == {"names": ["one"]}
    assert (place / "a").read_bytes() + (place / "b").read_bytes() == b"12"


def test_where_filling_fails_nothing_stays(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "run" / "cache", fails=True)
    assert not list(tmp_path.iterdir())


def test_what_was_there_before_and_what_comes_beside_stay(tmp_path):
    (tmp_path / "other").touch()
    fill(tmp_path)
    with (tmp_path / "a").open("rb") as reader:
        with pytest.raises(KeyboardInterrupt):
            fill(tmp_path, fails=True)
        assert reader.read() == b"1"  # a run that has it open goes on
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_cache_is_current_for_its_settings_alone(tmp_path):
    listing = tmp_path / "list.json"
    assert not is_current(listing, [1])
    with refilled(listing) as (content, _):
        content["settings"] = [1]
    assert is_current(listing, [1])
    assert not is_current(listing, [2])


def test_a_fingerprint_changes_with_the_files_that_match(tmp_path):
    (tmp_path / "one.tar").write_bytes(b"1")
    before = fingerprint(tmp_path, "*.tar")
    (tmp_path / "note.txt").write_text("beside them")
    assert fingerprint(tmp_path, "*.tar") == before != fingerprint(tmp_path)
    (tmp_path / "one.tar").write_bytes(b"22")
    assert fingerprint(tmp_path, "*.tar") != before
