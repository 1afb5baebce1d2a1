"""What the evaluate commands ask of the evaluations, which have tests of their own, and how they show it."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from command_line import assert_one_line_and_code_2, run
from tiny_networks import tiny

from mobigen.data.synthetic import write_synthetic_photos
from mobigen.models.plain_upscaler import PlainUpscaler
from mobigen.models.sesr import SESR


@pytest.fixture(autouse=True)
def no_data_by_default_and_weights_of_ones_own(monkeypatch, tmp_path):
    monkeypatch.delenv("MOBIGEN_DATA", raising=False)
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tmp_path))
    for name in ("sticker", "cutout"):
        (tmp_path / name).mkdir()


# --- stickers -----------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    calls = []

    def evaluate_sticker(**options):
        calls.append(options)
        options["report"]("half of it")
        return {"samples": options["samples"], "students": {"4": {"share": 0.5}}}

    monkeypatch.setattr("mobigen.train.evaluate.evaluate_sticker", evaluate_sticker)
    return calls


def test_scores_are_a_line_each(tmp_path, asked):
    result = run("evaluate", "sticker", "--data", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout == "samples: 400\nstudents 4 share: 0.5\n"
    assert result.stderr == "half of it\n"
    assert (asked[0]["weights"], asked[0]["out"]) == (tmp_path / "sticker", Path("out/evaluate/sticker"))


def test_scores_as_json_and_all_options(tmp_path, asked):
    (tmp_path / "run").mkdir()
    options = ["--weights", tmp_path / "run", "--out", tmp_path / "scores", "--samples", 8, "--json"]
    result = run("evaluate", "sticker", "--data", tmp_path, *options)
    assert json.loads(result.stdout)["samples"] == 8
    assert (asked[0]["weights"], asked[0]["out"]) == (tmp_path / "run", tmp_path / "scores")


def test_ones_own_weights_stand_before_those_they_were_trained_beside(tmp_path, monkeypatch):
    def evaluate_sticker(weights, **_):
        return {each.parent.name: each.read_text() for each in weights.rglob("config.json")}

    monkeypatch.setattr("mobigen.train.evaluate.evaluate_sticker", evaluate_sticker)
    for folder, components in {"run": ["denoiser"], "whole": ["denoiser", "decoder"]}.items():
        for component in components:
            (tmp_path / folder / component).mkdir(parents=True)
            (tmp_path / folder / component / "config.json").write_text(folder)
    options = [each for folder in ("run", "whole") for each in ("--weights", tmp_path / folder)]
    result = run("evaluate", "sticker", "--data", tmp_path, *options, "--json")
    assert json.loads(result.stdout) == {"denoiser": "run", "decoder": "whole"}


def test_weights_that_are_not_there(tmp_path, asked):
    result = run("evaluate", "sticker", "--data", tmp_path, "--weights", tmp_path / "none")
    assert_one_line_and_code_2(result, "there is no folder")
    assert not asked


def test_data_that_is_no_folder(asked):
    assert_one_line_and_code_2(run("evaluate", "sticker", "--data", "nowhere"), "is not a folder")
    assert not asked


def test_other_kinds_are_not_known():
    result = run("evaluate", "soup", "--data", ".")
    assert result.exit_code == 2
    assert "No such command 'soup'" in result.output


# --- upscalers ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    for name, width in (("sr-test-set5", 32), ("mine", 28)):
        write_synthetic_photos(folder / "data" / name, 1, width=width, height=24)
    tiny(PlainUpscaler, scale=2).save_component(folder / "weights" / "ours-x2")
    tiny(SESR, scale=3).save_component(folder / "weights" / "sesr-x3")
    return folder


def evaluate_upscale(place, out, *options):
    weights = ["--weights", place / "weights", "--out", out]
    return run("evaluate", "upscale", "--data", place / "data", *weights, *options)


def test_a_table_with_bicubic_and_published_figures(place, tmp_path):
    result = evaluate_upscale(place, tmp_path, "--no-times")
    assert result.exit_code == 0, result.output
    head, *lines = result.stdout.splitlines()
    assert " ".join(head.split()) == "network scale sr-test-set5 dB sr-test-set5 SSIM parameters G MACs ms"
    assert [line.split()[:2] for line in lines[:2]] == [["bicubic", "x2"], ["ours-x2", "x2"]]
    (published,) = (line for line in lines if line.startswith("SESR-M5 (arXiv 2103.09404)"))
    assert published.split()[-2:] == ["37.39", "13,520"]
    assert [line.split()[0] for line in lines[-3:]] == ["bicubic", "sesr-x3", "ABPN"]
    assert (tmp_path / "scores.json").is_file()
    assert "ours-x2 x2: sr-test-set5" in result.stderr


def test_sets_of_ones_own_have_no_published_figures(place, tmp_path):
    result = evaluate_upscale(place, tmp_path, "--no-times", "--set", "mine")
    assert "mine SSIM" in result.stdout
    assert "arXiv" not in result.stdout


def test_a_set_that_is_not_there_is_refused_by_name(place, tmp_path):
    result = evaluate_upscale(place, tmp_path / "out", "--no-times", "--set", "mine", "--set", "set6")
    assert_one_line_and_code_2(result, "has no folder set6; its folders: mine, sr-test-set5")
    assert not (tmp_path / "out").exists()


def test_rows_as_json(place, tmp_path):
    rows = json.loads(evaluate_upscale(place, tmp_path, "--no-times", "--json").stdout)
    assert [row["name"] for row in rows] == ["bicubic", "ours-x2", "bicubic", "sesr-x3"]
    assert rows[1]["scores"]["sr-test-set5"][0] > 5
    assert rows[1]["macs"] > 0
    assert rows[1]["milliseconds"] is None


def test_a_bundle_is_scored_beside_the_networks(place, tmp_path, upscale_bundle):
    result = evaluate_upscale(place, tmp_path, "--no-times", "--bundle", f"{upscale_bundle}/")
    assert result.exit_code == 0, result.output
    (line,) = (line for line in result.stdout.splitlines() if line.startswith(f"{upscale_bundle}/ (bundle)"))
    assert float(line.split()[3]) > 10


def test_networks_are_timed_on_two_threads(place, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("mobigen.export.stopwatch.time_network", lambda *given: calls.append(given) or 7.25)
    result = evaluate_upscale(place, tmp_path)
    assert [line.split()[-1] for line in result.stdout.splitlines() if "ours-x2" in line] == ["7.2"]
    assert [threads for _, threads in calls] == [2, 2]


@pytest.mark.parametrize("option", ["--data", "--weights"])
def test_folders_that_are_not_there(place, option):
    options = {"--data": place / "data", "--weights": place / "weights", option: "nowhere"}
    words = [word for pair in options.items() for word in pair]
    assert_one_line_and_code_2(run("evaluate", "upscale", *words), f"{option} nowhere is not a folder")


def test_all_weights_are_scored_where_the_house_keeps_them(place, tmp_path, monkeypatch):
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(place / "weights"))
    result = run("evaluate", "upscale", "--data", place / "data", "--out", tmp_path, "--no-times", "--json")
    assert [row["name"] for row in json.loads(result.stdout)] == ["bicubic", "ours-x2", "bicubic", "sesr-x3"]


def test_a_data_folder_without_pictures(place, tmp_path):
    options = ["--weights", place / "weights", "--no-times"]
    assert_one_line_and_code_2(run("evaluate", "upscale", "--data", tmp_path, *options), "no test set in")


# --- cutouts ------------------------------------------------------------------------------------------------


@pytest.fixture
def clicked(monkeypatch):
    calls = []

    def evaluate_cutout(**options):
        calls.append(options)
        return {"single": {"centre": {"1": 0.9}}}

    monkeypatch.setattr("mobigen.train.evaluate_cutout.evaluate_cutout", evaluate_cutout)
    return calls


def test_clicks_are_scored_by_a_command_of_their_own(tmp_path, clicked):
    result = run("evaluate", "cutout", "--data", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout == "single centre 1: 0.9\n"
    assert (clicked[0]["weights"], clicked[0]["out"]) == (tmp_path / "cutout", Path("out/evaluate/cutout"))


def test_scenes_are_asked_about_through_the_pipeline(tmp_path, clicked, cutout_weights):
    assert run("evaluate", "cutout", "--data", tmp_path, "--weights", cutout_weights).exit_code == 0
    predictor = clicked[0]["open_predictor"](cutout_weights)
    predictor.set_image(np.zeros((40, 60, 3), np.uint8))
    masks, _, _ = predictor.predict([[30, 20]], [1])
    assert masks.shape == (3, 40, 60)


def test_scenes_can_be_left_out(tmp_path, clicked):
    assert run("evaluate", "cutout", "--data", tmp_path, "--no-scenes").exit_code == 0
    assert not clicked[0]["scenes"]
