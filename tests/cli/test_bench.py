"""The bench command, on the tiny bundle."""

import json

import pytest
from command_line import assert_one_line_and_code_2, run

from mobigen.bench.record import SCHEMA_VERSION

QUICK = ["--runs", 20, "--threads", 1, "--components", "decoder"]


def test_a_table_of_times_and_memory(exported_bundle):
    result = run("bench", exported_bundle, "--runs", 20, "--threads", 1)
    assert result.exit_code == 0, result.output
    title, place, protocol, empty, head, *rows = result.stdout.splitlines()
    assert title == "sticker 0.1.0, litert, 1 thread"
    assert place.startswith("on ")
    assert protocol.startswith("20 runs after the first")
    assert empty == ""
    assert head.split("  ")[-1].strip() == "model MB" or "peak MB" not in head
    assert [row.split("  ")[0] for row in rows] == ["text_encoder", "denoiser", "decoder", "pipeline, a picture"]
    assert len({len(row) for row in (head, *rows)}) == 1
    assert result.stderr.splitlines()[-1] == "measuring the pipeline: a picture"


def test_a_record_as_json_and_in_a_file(exported_bundle, tmp_path):
    result = run("bench", exported_bundle, *QUICK, "--json", "-o", tmp_path / "record.json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record == json.loads((tmp_path / "record.json").read_text())
    assert record["schema_version"] == SCHEMA_VERSION
    assert list(record["components"]) == ["decoder"]
    assert result.stderr.splitlines()[-1] == str(tmp_path / "record.json")


def test_what_was_measured_is_shown_where_its_file_cannot_be_written(exported_bundle, tmp_path):
    (tmp_path / "file").touch()
    result = run("bench", exported_bundle, *QUICK, "-o", tmp_path / "file" / "record.json")
    assert result.exit_code == 2
    assert "decoder" in result.stdout
    assert f"error: cannot use {tmp_path / 'file'}" in result.stderr


def test_sustained_runs_have_a_line(exported_bundle):
    result = run("bench", exported_bundle, *QUICK, "--minutes", 0.001)
    *_, title, line = result.stdout.splitlines()
    assert title == "without a pause, median ms of each half minute"
    assert line.startswith("decoder: ")
    assert line.endswith("(the last is 1.00 times the first)")


def test_a_folder_without_a_slash(exported_bundle, tmp_path, monkeypatch):
    (tmp_path / "mine").symlink_to(exported_bundle)
    monkeypatch.chdir(tmp_path)
    result = run("bench", "mine", *QUICK)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["soup"], "the models are: "),
        (["{bundle}", "--runs", 5], "accepted: at least 20"),
        (["{bundle}", "--backend", "abacus"], "there is no backend 'abacus'"),
        (["{bundle}", "--components", "ear"], "has no component ear"),
        (["{bundle}", "--minutes", 1, "--adb"], "leave the others out"),
        (["{bundle}", "--backend", "torch", "--adb", "ABC123"], "leave the others out"),
        (["{bundle}", "--adb"], "--adb needs LiteRT's benchmark_model"),
        (["{bundle}", "--adb", "--benchmark-model", "no/tool"], "no/tool is not a file"),
    ],
)
def test_bad_input_is_one_line(arguments, complaint, exported_bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOBIGEN_BENCHMARK_MODEL", raising=False)
    assert_one_line_and_code_2(
        run("bench", *(str(each).format(bundle=exported_bundle) for each in arguments)), complaint
    )
    assert list(tmp_path.iterdir()) == []
