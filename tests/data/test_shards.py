"""Shards: packed, read, and refused."""

import io
import json
import tarfile

import cv2
import numpy as np
import pytest
import webdataset as wds
from hypothesis import given, settings
from hypothesis import strategies as st

from mobigen.data import shards
from mobigen.data.shards import pack_folder, read_shards
from mobigen.errors import InputError


def picture(value=0, suffix="png"):
    return cv2.imencode(f".{suffix}", np.full((4, 4, 3), value, np.uint8))[1].tobytes()


def write_folder(folder, lines):
    """A folder in the imagefolder convention; each line is a record, or text as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for line in lines:
        if isinstance(line, dict) and "file_name" in line:
            (folder / line["file_name"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / line["file_name"]).write_bytes(picture())
    listing = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "metadata.jsonl").write_text(listing, encoding="utf-8")
    return folder


def write_tar(path, files):
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def test_what_is_packed_is_read(tmp_path):
    source = write_folder(
        tmp_path / "in",
        [
            {"file_name": "a.png", "text": "a red apple", "style": "flat", "keywords": ["fruit", "ünïcode"]},
            {"file_name": "deep/b.PNG", "text": "ignored", "name": "a pear"},
            {"file_name": "c d.png"},
        ],
    )
    assert pack_folder(source, tmp_path / "out") == 3
    samples = list(read_shards(tmp_path / "out"))
    assert [sample.key for sample in samples] == ["0000000", "0000001", "0000002"]
    assert [sample.record for sample in samples] == [
        {"name": "a red apple", "style": "flat", "keywords": ["fruit", "ünïcode"]},
        {"name": "a pear"},
        {"name": "c d"},
    ]
    assert all(sample.image == picture() for sample in samples)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@settings(max_examples=20)
@given(st.lists(names, min_size=1, max_size=7))
def test_shards_are_split_and_keep_their_order(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("packed")
    source = write_folder(folder / "in", [{"file_name": f"{i}.png", "text": text} for i, text in enumerate(texts)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SAMPLES_A_SHARD", 3)
        pack_folder(source, folder / "out %d")
    assert len(list((folder / "out %d").glob("*.tar"))) == -(-len(texts) // 3)
    assert [sample.record["name"] for sample in read_shards(folder / "out %d")] == texts


def test_packing_again_replaces_the_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SAMPLES_A_SHARD", 1)
    pack_folder(write_folder(tmp_path / "in", [{"file_name": f"{i}.png"} for i in range(3)]), tmp_path / "out")
    (tmp_path / "out" / "shapes-00.tar").write_bytes(b"of somebody else")
    pack_folder(write_folder(tmp_path / "in", [{"file_name": "9.png"}]), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["shapes-00.tar", "shard-00000.tar"]


def test_an_interrupted_packing_leaves_no_half_shard(tmp_path, monkeypatch):
    source = write_folder(tmp_path / "in", [{"file_name": f"{i}.png"} for i in range(3)])
    write = wds.ShardWriter.write

    def interrupted(self, sample):
        if sample["__key__"] == "0000002":
            raise KeyboardInterrupt
        write(self, sample)

    monkeypatch.setattr(wds.ShardWriter, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack_folder(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_leftovers_of_a_killed_packing_are_not_packed(tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "shard-00007.tar").write_bytes(b"half")
    pack_folder(write_folder(tmp_path / "in", [{"file_name": "a.png"}]), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shard-00000.tar"]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (['{"file_name": "a.png"'], "line 1: not a JSON object"),
        ([{"file_name": "a.png"}, "[]"], "line 2: not a JSON object"),
        (["3"], "line 1: not a JSON object"),
        ([{"text": "no picture"}], "line 1: not a JSON object with file_name"),
        (['{"file_name": 3}'], "line 1: not a JSON object with file_name"),
        (['{"file_name": "gone.png"}'], r"line 1: no picture .*gone.png \(accepted: webp, jpg, jpeg, png\)"),
        ([{"file_name": "a.gif"}], "line 1: no picture"),
        ([{"file_name": "a.png", "text": None}], "line 1: text is not a string"),
        ([], "names no pictures"),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path, lines, complaint):
    with pytest.raises(InputError, match=complaint):
        pack_folder(write_folder(tmp_path / "in", lines), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_metadata_that_cannot_be_read(tmp_path, content):
    if content:
        (tmp_path / "metadata.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot read .*metadata.jsonl"):
        pack_folder(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    "names", [["a.jpg", "a.json"], ["a.jpg", "a.png", "a.json", "b.png"], ["a.b.jpg", "a.b.png", "a.b.json"]]
)
def test_a_photo_is_packed_with_its_label_map_and_its_parts_or_not_at_all(tmp_path, names):
    (tmp_path / "in").mkdir()
    for name in names:
        (tmp_path / "in" / name).touch()
    with pytest.raises(InputError, match=r"needs a photo \((a|b|a\.b)\.jpg\), a label map"):
        pack_folder(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_shards(tmp_path):
    with pytest.raises(InputError, match=r"no \*.tar shards in .*mobigen data pack"):
        list(read_shards(tmp_path))


RECORD = json.dumps({"name": "apple"}).encode()


@pytest.mark.parametrize(
    "files",
    [
        {"a.json": RECORD},
        {"a.png": b"picture"},
        {"a.gif": b"picture", "a.json": RECORD},
        {"a.png": b"picture", "a.json": b"{"},
        {"a.png": b"picture", "a.json": b"[1]"},
        {"a.png": b"picture", "a.json": b"\xff"},
    ],
)
def test_a_sample_needs_a_picture_and_a_record(tmp_path, files):
    write_tar(tmp_path / "one.tar", files)
    with pytest.raises(InputError, match=r"sample a in .* needs a picture"):
        list(read_shards(tmp_path))


@pytest.mark.parametrize("content", [b"not a tar file at all" * 100, b"", None])
def test_a_damaged_shard(tmp_path, content):
    write_tar(tmp_path / "one.tar", {"a.png": b"picture" * 500, "a.json": RECORD})
    whole = (tmp_path / "one.tar").read_bytes()
    (tmp_path / "one.tar").write_bytes(whole[:1500] if content is None else content)
    with pytest.raises(InputError, match="is damaged"):
        list(read_shards(tmp_path))


def test_shards_are_read_whole_by_every_process(tmp_path, monkeypatch):
    write_tar(tmp_path / "one.tar", {"a.png": picture(), "a.json": RECORD})
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert [sample.key for sample in read_shards(tmp_path)] == ["a"]
