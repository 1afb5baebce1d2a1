"""Bundles are found where they should be, and damage is noticed."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from mobigen.bundle import find_bundle, load_bundle, measure
from mobigen.errors import BundleError, InputError


def test_a_folder_is_taken_as_it_is(exported_bundle):
    assert find_bundle(exported_bundle) == exported_bundle
    assert find_bundle(str(exported_bundle)) == exported_bundle


def test_a_name_is_looked_up_in_the_chosen_folder_first(exported_bundle, monkeypatch):
    monkeypatch.setenv("MOBIGEN_EXPORT", str(exported_bundle.parent))
    assert find_bundle("sticker") == exported_bundle


def test_a_name_is_found_in_the_installed_share(exported_bundle, tmp_path, monkeypatch):
    monkeypatch.delenv("MOBIGEN_EXPORT", raising=False)
    monkeypatch.setattr("mobigen.bundle.__file__", str(tmp_path / "site-packages" / "mobigen" / "bundle.py"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    installed = tmp_path / "share" / "mobigen" / "export" / "sticker"
    shutil.copytree(exported_bundle, installed)
    assert find_bundle("sticker") == installed


def test_a_missing_bundle_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBIGEN_EXPORT", str(tmp_path))
    monkeypatch.setattr("mobigen.bundle.__file__", str(tmp_path / "site-packages" / "mobigen" / "bundle.py"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(BundleError, match=str(tmp_path / "sticker")):
        find_bundle("sticker")
    with pytest.raises(BundleError, match="nowhere"):
        find_bundle(tmp_path / "nowhere")


def test_an_unknown_name_is_an_input_error():
    with pytest.raises(InputError, match="there is no model named 'soup'"):
        load_bundle("soup")


def test_a_good_bundle_gives_its_graphs_and_tokenizer(exported_bundle):
    bundle = load_bundle(exported_bundle)
    assert bundle.graph("denoiser", "litert") == exported_bundle / "litert" / "denoiser.tflite"
    assert bundle.files() == {"tokenizer": exported_bundle / "tokenizer.json"}
    assert [spec.name for spec in bundle.signature("decoder").outputs] == ["image"]


def test_an_absent_component_or_backend_is_named(exported_bundle):
    bundle = load_bundle(exported_bundle)
    with pytest.raises(BundleError, match="no component 'upscaler'"):
        bundle.signature("upscaler")
    with pytest.raises(BundleError, match="no coreml graph of denoiser, only litert"):
        bundle.graph("denoiser", "coreml")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_an_unreadable_metadata_file_is_refused(bundle_folder, content):
    (bundle_folder / "metadata.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"metadata\.json"):
        load_bundle(bundle_folder)


@pytest.mark.parametrize("file", ["litert/denoiser.tflite", "tokenizer.json"])
def test_a_missing_file_is_named(bundle_folder, file):
    (bundle_folder / file).unlink()
    with pytest.raises(BundleError, match=f"{file} is missing"):
        load_bundle(bundle_folder)


def test_a_truncated_graph_is_noticed_at_once(bundle_folder):
    graph = bundle_folder / "litert" / "decoder.tflite"
    graph.write_bytes(graph.read_bytes()[:-10])
    with pytest.raises(BundleError, match=r"decoder\.tflite has \d+ bytes, metadata says \d+"):
        load_bundle(bundle_folder)


@pytest.mark.parametrize("file", ["litert/decoder.tflite", "tokenizer.json"])
def test_a_tampered_file_is_noticed_when_it_is_used(bundle_folder, file):
    content = bytearray((bundle_folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle_folder / file).write_bytes(content)
    bundle = load_bundle(bundle_folder)
    with pytest.raises(BundleError, match=f"{file} has sha256"):
        bundle.files() if file == "tokenizer.json" else bundle.graph("decoder", "litert")


def test_metadata_that_says_another_size_is_refused(bundle_folder):
    path = bundle_folder / "metadata.json"
    values = json.loads(path.read_text())
    values["components"]["decoder"]["backends"]["litert"]["bytes"] += 1
    path.write_text(json.dumps(values))
    with pytest.raises(BundleError, match=r"decoder\.tflite has"):
        load_bundle(bundle_folder)


def test_a_file_is_measured_by_its_contents(tmp_path):
    file = tmp_path / "graph"
    file.write_bytes(b"abc")
    assert measure(file) == (3, hashlib.sha256(b"abc").hexdigest())


def test_a_folder_is_measured_by_names_and_contents(tmp_path):
    def package(name, files):
        for file, content in files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return measure(Path(tmp_path / name))

    first = package("first", {"Data/a.bin": b"12", "Manifest.json": b"3"})
    assert first[0] == 3
    assert package("same", {"Manifest.json": b"3", "Data/a.bin": b"12"}) == first
    assert package("renamed", {"Data/b.bin": b"12", "Manifest.json": b"3"})[1] != first[1]
    assert package("changed", {"Data/a.bin": b"13", "Manifest.json": b"3"})[1] != first[1]
