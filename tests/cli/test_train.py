"""The researcher's commands, with tiny networks on drawn stickers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytest.importorskip("webdataset")

from command_line import ROOT, assert_one_line_and_code_2, command, run

from mobigen.cli.train import _overrides
from mobigen.data.synthetic import write_synthetic_shards
from mobigen.models.autoencoder import Decoder, Encoder, TeacherDecoder
from mobigen.recipes import RECIPES

TINY = {"latent_channels": 4, "widths": (8, 8, 8), "depth": 1}


@pytest.fixture(scope="module")
def beginning(tmp_path_factory):
    """data/ with drawn stickers, start/ with a decoder to train, and run/ with what it is distilled from."""
    folder = tmp_path_factory.mktemp("beginning")
    write_synthetic_shards(folder / "data" / "stickers", 3)
    Encoder(**TINY).save_pretrained(folder / "run" / "encoder")
    TeacherDecoder(**TINY).save_pretrained(folder / "run" / "teacher_decoder")
    Decoder(**TINY, head_width=8).save_pretrained(folder / "start" / "decoder")
    return folder


@pytest.fixture
def place(beginning, tmp_path, monkeypatch):
    monkeypatch.delenv("MOBIGEN_DATA", raising=False)
    return Path(shutil.copytree(beginning, tmp_path / "place"))


def arguments(place, **changes):
    """The command line that trains the decoder for two steps; a value of None leaves its option out."""
    chosen = {
        "data": place / "data",
        "out": place / "run",
        "init": place / "start",
        "train-batch-size": 2,
        "mixed-precision": "no",
        "max-train-steps": 2,
        **changes,
    }
    return [word for name, value in chosen.items() if value is not None for word in (f"--{name}", value)]


# --- training -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["train", "distill"])
def test_two_steps_leave_a_component(place, verb):
    result = run(verb, "sticker-decoder", *arguments(place))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{place / 'run' / 'decoder'}\n"
    assert "resumed" not in result.stderr
    assert "sticker-decoder: 2 steps" in result.stderr
    Decoder.from_pretrained(place / "run" / "decoder")
    assert (place / "run" / "sticker-decoder" / "checkpoint").is_dir()


def test_the_same_command_resumes(place):
    assert run("train", "sticker-decoder", *arguments(place)).exit_code == 0
    result = run("train", "sticker-decoder", *arguments(place, **{"max-train-steps": 3}))
    assert result.exit_code == 0, result.output
    assert "resumed at step 2\n" in result.stderr
    assert "sticker-decoder: 3 steps" in result.stderr


def test_the_recipe_decides_what_is_not_given(place):
    assert run("train", "sticker-decoder", *arguments(place)).exit_code == 0
    settings = json.loads((place / "run" / "sticker-decoder" / "settings.json").read_text())
    assert (settings["train_batch_size"], settings["max_train_steps"], settings["minutes"]) == (2, 2, None)
    assert settings["learning_rate"] == RECIPES["sticker-decoder"].settings.learning_rate


def test_options_may_be_typed_as_elsewhere_and_data_may_come_from_the_environment(place):
    options = arguments(place, **{"data": None, "max-train-steps": None, "train-batch-size": None})
    underscored = ["--max_train_steps", 1, "--train_batch_size", 1, "--no_compile"]
    environment = {"MOBIGEN_DATA": str(place / "data")}
    result = run("train", "sticker-decoder", *options, *underscored, env=environment)
    assert result.exit_code == 0, result.output
    settings = json.loads((place / "run" / "sticker-decoder" / "settings.json").read_text())
    assert (settings["train_batch_size"], settings["max_train_steps"], settings["compile"]) == (1, 1, False)


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({"minutes": None, "max_train_steps": None, "seed": None, "compile": None}, {}),
        ({"minutes": None, "max_train_steps": None, "seed": 0, "compile": False}, {"seed": 0, "compile": False}),
        ({"minutes": 3.0, "max_train_steps": None}, {"minutes": 3.0, "max_train_steps": None}),
        ({"minutes": None, "max_train_steps": 9}, {"minutes": None, "max_train_steps": 9}),
        ({"minutes": 3.0, "max_train_steps": 9}, {"minutes": 3.0, "max_train_steps": 9}),
    ],
)
def test_one_end_of_a_run_replaces_the_recipes(given, chosen):
    assert _overrides(given) == chosen


@pytest.mark.skipif(sys.platform == "win32", reason="signals are Unix's")
def test_ctrl_c_saves_and_the_same_command_goes_on(place):
    endless = {"max-train-steps": 10**6, "checkpointing-minutes": 0.01}
    line = command("train", "sticker-decoder", *arguments(place, **endless))
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        begun = place / "run" / "sticker-decoder" / "checkpoint"
        while not begun.is_dir() and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        shown, chatter = process.communicate(timeout=180)
    assert process.returncode == 130, chatter
    assert shown == ""
    assert "the same command goes on from here" in chatter
    assert chatter.endswith("\ninterrupted\n")
    assert "Traceback" not in chatter
    assert not (place / "run" / "decoder").exists()
    result = run("train", "sticker-decoder", *arguments(place, **{"max-train-steps": 1}))
    assert result.exit_code == 0, result.output
    assert "resumed at step" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="gloo is Unix's")
def test_two_processes_train_together_and_resume(place):
    """As on two GPUs, with processors in their place."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    for steps, resumed in ((2, 0), (3, 1)):
        line = ["-m", "mobigen", "train", "sticker-decoder", *arguments(place, **{"max-train-steps": steps})]
        line = [*launch, *map(str, line)]
        process = subprocess.run(line, capture_output=True, text=True, cwd=place, env=environment, timeout=180)
        assert process.returncode == 0, process.stderr
        assert process.stdout == f"{place / 'run' / 'decoder'}\n"  # once
        assert process.stderr.count("resumed at step 2\n") == resumed
        assert process.stderr.count(f"sticker-decoder: {steps} steps") == 1
    states = (place / "run" / "sticker-decoder" / "checkpoint").glob("random_states_*.pkl")
    assert len(list(states)) == 2  # one of each process


# --- help and refusals --------------------------------------------------------------------------------------


def test_help_lists_the_recipes():
    shown = run("train", "--help").stdout
    assert "Recipes:\n" in shown
    assert all(f"\n  {name} " in shown for name in RECIPES)
    distils = run("distill", "--help").stdout
    assert all((f"\n  {name} " in distils) == recipe.distils for name, recipe in RECIPES.items())


@pytest.mark.parametrize(
    ("verb", "recipe", "changes", "complaint"),
    [
        ("train", "soup", {}, "has no recipe 'soup'; its recipes: sticker-text-encoder, sticker-autoencoder"),
        ("distill", "sticker-teacher", {}, "`mobigen distill` has no recipe 'sticker-teacher'"),
        ("train", "sticker-decoder", {"data": "nowhere"}, "--data nowhere is not a folder"),
        ("train", "sticker-decoder", {"init": "nowhere"}, "--init nowhere is not a folder"),
        ("train", "sticker-decoder", {"mixed-precision": "fp16"}, "'fp16'; accepted: no, bf16"),
        ("train", "sticker-decoder", {"learning-rate": -1}, "learning_rate above 0"),
        ("train", "sticker-decoder", {"max-train-steps": 0}, "must be above 0"),
        ("train", "sticker-decoder", {"minutes": 0}, "must be above 0"),
        ("train", "sticker-decoder", {"train-batch-size": 0}, "train_batch_size must be at least 1"),
    ],
)
def test_what_cannot_work_is_one_line_and_leaves_nothing(place, verb, recipe, changes, complaint):
    options = arguments(place, **{"out": place / "new", **changes})
    assert_one_line_and_code_2(run(verb, recipe, *options), complaint)
    assert not (place / "new").exists()


def test_a_folder_without_data_leaves_nothing(place):
    (place / "empty").mkdir()
    for recipe, complaint in [
        ("sticker-autoencoder", "mobigen data pack FOLDER"),
        ("sticker-text-encoder", "mobigen data pack FOLDER"),
        ("cutout", "mobigen data pack FOLDER"),
        ("upscale-x2", "no pictures in"),
    ]:
        result = run("train", recipe, *arguments(place, data=place / "empty", out=place / "new", init=None))
        assert_one_line_and_code_2(result, complaint)
        assert not (place / "new").exists()


def test_a_teacher_that_is_not_there(place, monkeypatch):
    monkeypatch.setattr("mobigen.recipes.recipe.model_folders", lambda model: [place / "weights" / model])
    result = run("train", "sticker-decoder", *arguments(place, out=place / "new"))
    assert_one_line_and_code_2(result, "run the recipe that makes it first")


def test_the_teacher_of_words_is_an_extra_of_its_own(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "wordfreq", None)
    result = run("distill", "sticker-text-encoder", *arguments(place, out=place / "new", init=None))
    assert_one_line_and_code_2(result, "pip install 'mobigen[teachers]'")
    assert not (place / "new").exists()


@pytest.mark.parametrize("changes", [{"data": None}, {"out": None}, {"seed": "lucky"}])
def test_wrong_usage_exits_with_2(place, changes):
    result = run("train", "sticker-decoder", *arguments(place, **changes))
    assert result.exit_code == 2
    assert "Error: " in result.stderr
