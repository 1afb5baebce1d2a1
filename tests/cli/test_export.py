"""The export command, on the tiny model."""

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("litert_torch")

from command_line import assert_one_line_and_code_2, run

from mobigen.bundle import load_bundle
from mobigen.export.backends import LiteRTBackend
from mobigen.export.plans import PLANS

COMPONENTS = ("text_encoder", "denoiser", "decoder")
FLOAT32 = ["--precision", "float32", "--to", "litert"]


@pytest.fixture
def ready(monkeypatch, exported_bundle):
    """Conversion replaced by a copy of the graphs that are there: for tests of what comes around it."""

    def copied(self, part, target, precision, calibration, scratch):
        shutil.copyfile(exported_bundle / "litert" / target.name, target)

    monkeypatch.setattr(LiteRTBackend, "convert", copied)


def test_weights_become_a_bundle(tiny_weights, tmp_path):
    out = tmp_path / "export" / "sticker"
    options = ["--to", "litert", "--precision", "denoiser=float16,text_encoder=float32", "--output-dir", out]
    result = run("export", "sticker", "--weights", tiny_weights, *options)
    assert result.exit_code == 0, result.output
    head, *rows, together, place = result.stdout.splitlines()
    assert head.split() == ["backend", "component", "precision", "MB", "dB", "ms"]
    assert [row.split()[:3] for row in rows] == [
        ["litert", "text_encoder", "float32"],
        ["litert", "denoiser", "float16"],
        ["litert", "decoder", PLANS["sticker"]["litert"]["decoder"]],
    ]
    assert together.startswith("litert   all, as a result")
    assert place == str(out)
    assert result.stderr.splitlines()[0] == f"exporting {tiny_weights}; this takes minutes"
    assert f"{out}: litert: denoiser in float16" in result.stderr
    assert load_bundle(out).metadata.components["denoiser"].backends["litert"].precision == "float16"


def test_a_network_of_ones_own_becomes_a_bundle(tiny_weights, tmp_path, ready, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_weights / "decoder", tmp_path / "polished")
    np.savez("inputs.npz", latent=np.random.default_rng(0).standard_normal((3, 4, 4, 4), dtype=np.float32))
    result = run("export", "./polished", *FLOAT32, "--inputs", "inputs.npz")
    assert result.exit_code == 0, result.output
    metadata = load_bundle(tmp_path / "export" / "polished").metadata
    assert (metadata.name, metadata.task, list(metadata.components)) == ("polished", "networks", ["decoder"])
    assert (
        json.loads((tmp_path / "export/polished/report.json").read_text())["backends"]["litert"]["graphs"][0]["samples"]
        == 2
    )  # every second one is for calibration


def test_some_components_alone(tiny_weights, tmp_path, ready):
    options = ["--components", "decoder,text_encoder", "--output-dir", tmp_path / "x"]
    result = run("export", "sticker", "--weights", tiny_weights, *FLOAT32, *options)
    assert result.exit_code == 0, result.output
    assert set(load_bundle(tmp_path / "x").metadata.components) == {"decoder", "text_encoder"}


def test_several_precisions_make_a_bundle_each(tiny_weights, tmp_path, ready):
    options = ["--components", "decoder", "--to", "litert", "--precision", "float32,float16"]
    result = run("export", "sticker", "--weights", tiny_weights, *options, "--output-dir", tmp_path / "x", "--json")
    assert result.exit_code == 0, result.output
    assert [each["backends"]["litert"]["graphs"][0]["precision"] for each in json.loads(result.stdout)] == [
        "float32",
        "float16",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"x-float32", "x-float16"}


def test_the_report_as_json(tiny_weights, tmp_path, ready):
    result = run("export", "sticker", "--weights", tiny_weights, *FLOAT32, "--output-dir", tmp_path / "x", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((tmp_path / "x" / "report.json").read_text())


def test_weights_are_looked_for_where_the_house_keeps_them(tiny_weights, tmp_path, ready, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "sticker").symlink_to(tiny_weights)
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path)
    result = run("export", "sticker", *FLOAT32)
    assert result.exit_code == 0, result.output
    assert load_bundle(tmp_path / "export" / "sticker").metadata.name == "sticker"


def test_what_one_folder_lacks_comes_from_the_next(tiny_weights, tmp_path, ready):
    """A component that was trained again, beside the rest of the model."""
    shutil.copytree(tiny_weights / "decoder", tmp_path / "run" / "decoder")
    options = ["--weights", tmp_path / "run", "--weights", tiny_weights, *FLOAT32, "--output-dir", tmp_path / "x"]
    result = run("export", "sticker", *options)
    assert result.exit_code == 0, result.output
    assert f"exporting {tmp_path / 'run'}, {tiny_weights};" in result.stderr
    assert load_bundle(tmp_path / "x").metadata.credits


def test_a_dry_run_tells_the_plan_and_leaves_nothing(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--weights", tiny_weights, "--to", "litert", "--precision", "decoder=float16", "--dry-run"]
    result = run("export", "sticker", *options)
    assert result.exit_code == 0, result.output
    planned = PLANS["sticker"]["litert"] | {"decoder": "float16"}
    found = [tuple(row.split()[:4]) for row in result.stdout.splitlines()[1:]]
    assert found == [("export/sticker", "litert", *each) for each in planned.items()]
    rows = json.loads(run("export", "sticker", *options, "--json").stdout)
    assert rows[2]["bytes_of_weights"] == 2 * rows[2]["parameters"] > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["soup"], "the models are: sticker"),
        (["sticker", "--weights", "a", "--weights", "b"], "no folder a, b"),
        (["./mine"], "no folder mine"),
        (["TINY", "--to", "onnx"], "cannot export to 'onnx'; accepted: litert"),
        (["TINY", "--precision", "denoiser="], "is not a precision"),
        (["TINY", "--precision", "encoder=float16"], "no component encoder"),
        (["TINY", "--precision", "denoiser=int3"], "no precision 'int3'"),
        (["TINY", "--components", "soup"], "has no component soup; its components: decoder"),
        (["TINY", "--inputs", "x.npz"], "is not needed"),
        (["TINY", "--components", "decoder", "--inputs", "x.npz"], "not an .npz file"),
        (["TINY", "--lora", "runs/lora"], "is not COMPONENT=DIR"),
        (["TINY", "--lora", "denoiser=runs/lora"], "holds no adapter_config.json"),
        (["TINY", "--sizes", "decoder"], "is not COMPONENT=SIZE,SIZE"),
        (["TINY", "--sizes", "decoder=big"], "is not COMPONENT=SIZE,SIZE"),
        (["TINY", "--output-dir", "."], "is not a bundle"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_what_is_refused_leaves_nothing(tiny_weights, tmp_path, monkeypatch, arguments, complaint, dry):
    monkeypatch.chdir(tmp_path)
    result = run("export", *(str(tiny_weights) if each == "TINY" else each for each in arguments), *dry)
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
