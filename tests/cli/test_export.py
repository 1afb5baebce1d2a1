"""The export command, on the tiny model."""

import json
import shutil

import pytest

pytest.importorskip("torch")
pytest.importorskip("litert_torch")

from command_line import assert_one_line_and_code_2, run

from mobigen.bundle import load_bundle
from mobigen.export import engine
from mobigen.export.engine import PLANS

COMPONENTS = ("text_encoder", "denoiser", "decoder")
FLOAT32 = [word for name in COMPONENTS for word in ("--precision", f"{name}=float32")]


@pytest.fixture
def ready(monkeypatch, exported_bundle):
    """Conversion replaced by a copy of the graphs that are there: for tests of what comes around it."""

    def copied(network, path, precision, calibration=()):
        shutil.copyfile(exported_bundle / "litert" / path.name, path)

    monkeypatch.setattr(engine, "convert_to", copied)


def test_weights_become_a_bundle(tiny_weights, tmp_path):
    out = tmp_path / "export" / "sticker"
    precision = ["--precision", "denoiser=float16", "--precision", "text_encoder=float32"]
    result = run("export", "sticker", "--weights", tiny_weights, *precision, "--output-dir", out)
    assert result.exit_code == 0, result.output
    head, *rows, together, place = result.stdout.splitlines()
    assert head.split() == ["component", "precision", "MB", "dB", "ms"]
    assert [row.split()[:2] for row in rows] == [
        ["text_encoder", "float32"],
        ["denoiser", "float16"],
        ["decoder", "int8-dynamic"],
    ]
    assert together.startswith("all, as pictures")
    assert place == str(out)
    assert result.stderr == f"exporting sticker from {tiny_weights}; this takes a minute\n"
    assert load_bundle(out).metadata.components["denoiser"].backends["litert"].precision == "float16"


def test_the_report_as_json(tiny_weights, tmp_path, ready):
    result = run("export", "sticker", "--weights", tiny_weights, *FLOAT32, "--output-dir", tmp_path / "x", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((tmp_path / "x" / "report.json").read_text())


def test_weights_are_looked_for_where_the_house_keeps_them(tiny_weights, tmp_path, ready, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "sticker").symlink_to(tiny_weights)
    monkeypatch.chdir(tmp_path)
    result = run("export", "sticker", *FLOAT32)
    assert result.exit_code == 0, result.output
    assert load_bundle(tmp_path / "export" / "sticker").metadata.name == "sticker"


def test_what_one_folder_lacks_comes_from_the_next(tiny_weights, tmp_path, ready):
    """A component that was trained again, beside the rest of the model."""
    shutil.copytree(tiny_weights / "decoder", tmp_path / "run" / "decoder")
    (tmp_path / "run" / "cache").mkdir()
    options = ["--weights", tmp_path / "run", "--weights", tiny_weights, *FLOAT32, "--output-dir", tmp_path / "x"]
    result = run("export", "sticker", *options)
    assert result.exit_code == 0, result.output
    assert f"exporting sticker from {tmp_path / 'run'}, {tiny_weights};" in result.stderr
    assert load_bundle(tmp_path / "x").metadata.credits


def test_a_dry_run_tells_the_plan_and_leaves_nothing(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--weights", tiny_weights, "--precision", "decoder=float16", "--dry-run"]
    result = run("export", "sticker", *options)
    assert result.exit_code == 0, result.output
    planned = PLANS["sticker"] | {"decoder": "float16"}
    assert [tuple(row.split()[:2]) for row in result.stdout.splitlines()[1:]] == list(planned.items())
    rows = json.loads(run("export", "sticker", *options, "--json").stdout)
    assert rows[2]["bytes_of_weights"] == 2 * rows[2]["parameters"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["soup"], "the models are: sticker"),
        (["sticker", "--to", "coreml"], "cannot export to coreml yet; accepted: litert"),
        (["sticker", "--precision", "float16"], "is not COMPONENT=NAME"),
        (["sticker", "--precision", "denoiser="], "is not COMPONENT=NAME"),
        (["sticker", "--precision", "encoder=float16"], "no component encoder"),
        (["sticker", "--precision", "denoiser=int3"], "no precision 'int3'"),
        (["sticker"], "no weights of text_encoder in weights/sticker"),
        (["sticker", "--weights", "a", "--weights", "b"], "text_encoder is in none of a, b"),
        (["sticker", "--output-dir", "."], "is not a bundle"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_is_refused_leaves_nothing(tmp_path, monkeypatch, arguments, complaint, dry):
    monkeypatch.chdir(tmp_path)
    result = run("export", *arguments, *dry)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert complaint in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_damaged_weights_are_one_line(tiny_weights, tmp_path):
    weights = shutil.copytree(tiny_weights, tmp_path / "weights")
    (weights / "credits.json").write_text('{"licence": 7}')
    result = run("export", "sticker", "--weights", weights, "--dry-run")
    assert_one_line_and_code_2(result, "licence")
