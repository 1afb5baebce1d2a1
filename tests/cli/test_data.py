"""The data command: good folders become shards, bad ones one line."""

import json
import tarfile

import pytest
from PIL import Image

pytest.importorskip("webdataset")

from command_line import assert_one_line_and_code_2, run


@pytest.fixture
def folder(tmp_path):
    """An imagefolder of two pictures."""
    place = tmp_path / "pictures"
    place.mkdir()
    lines = [{"file_name": "apple.png", "text": "red apple"}, {"file_name": "fox.webp", "text": "fox", "style": "flat"}]
    for line in lines:
        Image.new("RGBA", (8, 8), (200, 0, 0, 255)).save(place / line["file_name"])
    (place / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return place


def test_a_folder_becomes_shards(folder, tmp_path):
    result = run("data", "pack", folder, "--out", tmp_path / "packed")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"2 samples in {tmp_path / 'packed'}\n"
    (shard,) = (tmp_path / "packed").iterdir()
    with tarfile.open(shard) as tar:
        packed = {each.name: tar.extractfile(each).read() for each in tar}
    assert packed["0000000.png"] == (folder / "apple.png").read_bytes()
    assert packed["0000001.webp"] == (folder / "fox.webp").read_bytes()
    assert json.loads(packed["0000000.json"]) == {"name": "red apple"}
    assert json.loads(packed["0000001.json"]) == {"name": "fox", "style": "flat"}


@pytest.mark.parametrize(
    ("listing", "complaint"),
    [
        (None, "metadata.jsonl; write one JSON object a line"),
        ("no JSON\n", "line 1: not a JSON object"),
        ('{"text": "a fox"}\n', "line 1: not a JSON object with file_name"),
        ('{"file_name": "apple.png"}\n{"file_name": "lost.png"}\n', "line 2: no picture"),
        ('{"file_name": "metadata.jsonl"}\n', "accepted: webp, jpg, jpeg, png"),
    ],
)
def test_a_bad_folder_is_one_line_and_leaves_nothing(folder, tmp_path, listing, complaint):
    (folder / "metadata.jsonl").unlink()
    if listing is not None:
        (folder / "metadata.jsonl").write_text(listing)
    assert_one_line_and_code_2(run("data", "pack", folder, "--out", tmp_path / "packed"), complaint)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_place_that_cannot_take_shards(folder, tmp_path):
    place = folder / "apple.png"
    result = run("data", "pack", folder, "--out", place)
    assert_one_line_and_code_2(result, f"cannot use {place}: File exists; give another place")
    assert place.is_file()
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_is_not_there(tmp_path):
    assert_one_line_and_code_2(run("data", "pack", tmp_path / "none", "--out", tmp_path / "out"), "metadata.jsonl")
    assert list(tmp_path.iterdir()) == []
