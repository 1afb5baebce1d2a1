"""The sticker benchmark's command, on the tiny model."""

import json

import pytest
from click.testing import CliRunner

pytest.importorskip("litert_torch")

from benchmarks import sticker


@pytest.fixture
def anywhere(monkeypatch):
    """Leave this process on all its cores."""
    monkeypatch.setattr(sticker, "stay_on_cores", lambda count: None)


def run(*arguments):
    return CliRunner().invoke(sticker.main, [*map(str, arguments)])


def test_a_run_prints_tables_and_writes_a_record(exported_bundle, tiny_weights, tmp_path, anywhere, monkeypatch):
    place = tmp_path / "weights"
    place.mkdir()
    (place / "sticker").symlink_to(tiny_weights)
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(place))
    record = tmp_path / "record.json"
    result = run("--model", exported_bundle, "--rounds", 1, "--skip", "diffusion", "--record", record)
    assert result.exit_code == 0, result.output
    assert "shell to PNG, 4 steps" in result.output
    values = json.loads(record.read_text())
    assert values["shell"]["peak_bytes"] > 1e7
    assert set(values["components"]) == {"text_encoder", "denoiser", "decoder"}
    assert values["components"]["denoiser"]["torch"]["median_run_ms"] > 0
    picture = values["picture"]
    assert picture["torch_over_litert"] == pytest.approx(picture["torch"] / picture["litert"], rel=0.01)


def test_parts_can_be_left_out(exported_bundle, tmp_path, anywhere):
    record = tmp_path / "record.json"
    skipped = [word for part in sticker.PARTS for word in ("--skip", part)]
    assert run("--model", exported_bundle, "--rounds", 1, *skipped, "--record", record).exit_code == 0
    assert set(json.loads(record.read_text())["picture"]) == {"litert"}


def test_a_missing_bundle_is_one_line(tmp_path, anywhere):
    result = run("--model", tmp_path / "none", "--record", tmp_path / "record.json")
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert not (tmp_path / "record.json").exists()


def test_the_comparison_says_which_extra_it_needs(exported_bundle, tmp_path, anywhere, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    skipped = ["--skip", "shell", "--skip", "components", "--skip", "torch"]
    result = run("--model", exported_bundle, "--rounds", 1, *skipped, "--record", tmp_path / "record.json")
    assert result.exit_code == 1
    assert "pip install 'mobigen[bench]'" in result.output
