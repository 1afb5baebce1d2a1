"""The doctor command, on the tiny model."""

import json
import re
import shutil

import pytest

pytest.importorskip("torch")

from command_line import assert_one_line_and_code_2, run

from mobigen.cli.doctor import WIDTH


@pytest.fixture(scope="module")
def shown(tiny_weights):
    """The lines that it prints of the whole model."""
    result = run("doctor", f"{tiny_weights}/")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_an_overview_comes_first(shown, tiny_weights):
    assert shown[0].startswith(f"{tiny_weights.name}: 3 components, ")
    assert shown[2].startswith("operations ruled out of an accelerator")
    assert shown[3].split("  ")[0] == "component"
    rows = [line.split() for line in shown[4:7]]
    assert [row[0] for row in rows] == ["text_encoder", "denoiser", "decoder"]
    assert rows[0][2:] == ["2", "-", "3", "3", "-"]  # Neural Engine, LiteRT GPU and CPU, browser CPU and GPU
    assert rows[1][2] == rows[2][2] == "-"


def test_a_finding_says_what_why_and_what_to_change(shown):
    place = shown.index("  RULED OUT: Neural Engine")
    assert shown[place + 1] == "    what    1 embedding, (1, 8, 8); in embedding"
    assert shown[place + 2].startswith("    why     the engine does not look things up")
    assert shown[place + 3].startswith("    change  keep look-ups at the start")
    assert any(line.startswith("  Neural Engine    2 run elsewhere; 2 tensors, ") for line in shown)


def test_the_measures_follow_and_lines_are_short(shown):
    text = "\n".join(shown)
    assert re.search(r"^  weights          [\d.]+ k: [\d.]+ kB in float32, [\d.]+ kB in float16, ", text, re.MULTILINE)
    assert "alive at once in float32 (at " in text
    assert max(map(len, shown)) <= WIDTH
    assert "never promise" in text


def test_everything_as_json(tiny_weights):
    result = run("doctor", f"{tiny_weights}/", "--components", "decoder, denoiser", "--json")
    report = json.loads(result.stdout)
    assert [each["component"] for each in report["components"]] == ["decoder", "denoiser"]
    assert report["components"][0]["measures"]["macs"] > 0
    assert set(report["components"][0]["verdicts"]["neural-engine"]) == {
        *("convertible", "ruled_out", "handed_over", "handed_over_bytes")
    }


def test_a_model_is_found_by_its_name(tiny_weights, tmp_path, monkeypatch):
    (tmp_path / "sticker").symlink_to(tiny_weights)
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tmp_path))
    result = run("doctor", "sticker", "--components", "decoder")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("sticker: 1 component, ")


def test_a_single_network_of_save_pretrained(tiny_weights, tmp_path, monkeypatch):
    shutil.copytree(tiny_weights / "decoder", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    result = run("doctor", "mine")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("mine: 1 component, ")
    assert "No rule is broken." not in result.stdout  # a shuffle of 4x4 maps is padded on the Neural Engine


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["soup"], "the models are: "),
        (["no/such/folder"], "no config.json in no/such/folder"),
        (["."], "no config.json in ."),
        (["{weights}/", "--components", "ear"], "has no component ear; its components: "),
    ],
)
def test_bad_input_is_one_line(arguments, complaint, tiny_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_one_line_and_code_2(run("doctor", *(each.format(weights=tiny_weights) for each in arguments)), complaint)


def test_damaged_weights_are_one_line(weights):
    (weights / "decoder" / "model.safetensors").write_bytes(b"soup")
    assert_one_line_and_code_2(run("doctor", f"{weights}/"), "do not fit Decoder")


def test_weights_that_are_nowhere(tmp_path, monkeypatch):
    monkeypatch.setattr("mobigen.registry.model_folders", lambda model: [tmp_path / "nowhere"])
    assert_one_line_and_code_2(run("doctor", "sticker"), "set MOBIGEN_WEIGHTS, or give their folder")
