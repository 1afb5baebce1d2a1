"""The commands from shell to PNG, on a tiny bundle."""

import json

import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks import shell
from mobigen.cli import cli
from mobigen.registry import MODELS


def test_every_model_has_its_commands(tmp_path):
    found = shell.commands(tuple(MODELS), tmp_path)
    assert {name.split(",")[0] for name in found} == set(MODELS)
    assert all(words[0] in cli.commands for words in found.values())
    assert set(shell.commands(("cutout",), tmp_path)) == {"cutout, what stands out", "cutout, a click"}
    with Image.open(tmp_path / "small.jpg") as image:
        assert image.size == (640, 360)


def test_a_run_prints_a_table_and_writes_a_record(upscale_bundle, tmp_path, monkeypatch):
    pytest.importorskip("litert_torch")
    monkeypatch.setenv("MOBIGEN_EXPORT", str(upscale_bundle.parent))
    monkeypatch.setattr(shell, "stay_on_cores", lambda count: None)
    monkeypatch.setattr(shell, "SMALL", (40, 30))
    record = tmp_path / "record.json"
    result = CliRunner().invoke(shell.main, ["upscale-x2", "--rounds", "1", "--threads", "1", "--record", str(record)])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1].startswith("upscale-x2")
    row = json.loads(record.read_text())["commands"]["upscale-x2"]
    assert row["seconds"] > 0
    assert row["first_seconds"] > 0
    assert 10e6 < row["peak_bytes"] < 1e9
