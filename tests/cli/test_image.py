"""The creator's commands: what a creator types, and what a creator gets wrong."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import ROOT, assert_one_line_and_code_2, command, run, run_process
from PIL import Image

from mobigen import __version__
from mobigen.media import read_parameters, save_image


@pytest.fixture(autouse=True)
def chosen_bundle(exported_bundle, monkeypatch):
    """All commands use the tiny bundle, under the name sticker."""
    monkeypatch.setenv("MOBIGEN_EXPORT", str(exported_bundle.parent))
    monkeypatch.delenv("MOBIGEN_DEBUG", raising=False)


# --- pictures -----------------------------------------------------------------------------------------------


def test_one_prompt_makes_one_named_picture(tmp_path):
    result = run("image", "A red apple!", "--style", "flat", "--steps", 2, "--seed", 7, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    path = tmp_path / "out" / "a-red-apple_flat_2steps_seed7.png"
    assert result.stdout == f"{path}\n"
    assert result.stderr == "picture 1 of 1: A red apple!\n"
    assert list(path.parent.iterdir()) == [path]
    with Image.open(path) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (64, 64))


def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path):
    for folder in ("first", "second"):
        process = run_process("image", "a red apple", "--seed", 7, "-n", 2, "-o", tmp_path / folder)
        assert process.returncode == 0, process.stderr
    first, second = (sorted((tmp_path / folder).iterdir()) for folder in ("first", "second"))
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert first[0].read_bytes() != first[1].read_bytes()


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_file_can_be_named_and_carries_its_parameters(tmp_path, suffix):
    path = tmp_path / "deep" / f"fox.{suffix}"
    assert run("image", "a fox", "--seed", 3, "-o", path).exit_code == 0
    result = run("info", path)
    assert result.exit_code == 0
    shown = dict(line.split(": ") for line in result.stdout.splitlines())
    assert shown == {"prompt": "a fox", "style": "3d", "steps": "4", "seed": "3"} | {
        "model": "sticker",
        "version": __version__,
    }


def test_info_is_enough_to_make_the_picture_again(tmp_path):
    assert run("image", "a fox", "-o", tmp_path / "first.png").exit_code == 0
    seed = read_parameters(tmp_path / "first.png")["seed"]
    assert run("image", "a fox", "--seed", seed, "-o", tmp_path / "second.png").exit_code == 0
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_many_prompts_come_from_a_file_with_a_sheet(tmp_path):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\ufeff# fruit\na red apple\n\n  a fox  \n", encoding="utf-8")
    result = run("image", "a car", "--prompts", prompts, "-n", 2, "--seed", 0, "--sheet", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    paths = [Path(line) for line in result.stdout.splitlines()]
    assert len(paths) == 7
    assert paths[-1].name == "sheet.png"
    assert sorted(paths) == sorted((tmp_path / "out").iterdir())
    made = [read_parameters(path) for path in paths[:-1]]
    assert [each["prompt"] for each in made] == ["a car"] * 2 + ["a red apple"] * 2 + ["a fox"] * 2
    assert [each["seed"] for each in made] == [0, 1] * 3


def test_prompts_come_from_standard_input(tmp_path):
    result = run("image", "--prompts", "-", "--steps", 1, "-o", tmp_path, input="a fox\na car\n")
    assert result.exit_code == 0, result.output
    assert len(list(tmp_path.glob("*.png"))) == 2


def test_prompts_alike_do_not_overwrite_each_other(tmp_path):
    assert run("image", "a fox", "a fox!", "A fox?", "--seed", 1, "--steps", 1, "-o", tmp_path).exit_code == 0
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_may_have_a_dot_in_its_name(tmp_path):
    assert run("image", "a fox", "--steps", 1, "-o", f"{tmp_path}/v1.0/").exit_code == 0
    assert run("image", "a car", "--steps", 1, "-o", tmp_path / "v1.0").exit_code == 0
    assert len(list((tmp_path / "v1.0").iterdir())) == 2


def test_the_format_can_be_chosen(tmp_path):
    assert run("image", "a fox", "--steps", 1, "--format", "webp", "-o", tmp_path).exit_code == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".webp"]


def test_a_bundle_can_be_given_by_its_folder(tmp_path, bundle_folder, monkeypatch):
    monkeypatch.setenv("MOBIGEN_EXPORT", str(tmp_path / "nowhere"))
    assert run("image", "a fox", "--model", bundle_folder, "-o", tmp_path / "out").exit_code == 0


def test_the_torch_backend_agrees(tmp_path, tiny_weights, monkeypatch):
    (tmp_path / "sticker").symlink_to(tiny_weights)
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tmp_path))
    for backend in ("torch", "litert"):
        result = run("image", "a fox", "--seed", 1, "--backend", backend, "-o", tmp_path / f"{backend}.png")
        assert result.exit_code == 0, result.output
    first, second = (np.asarray(Image.open(tmp_path / f"{name}.png"), float) for name in ("torch", "litert"))
    assert 20 * np.log10(255 / np.sqrt(((first - second) ** 2).mean() + 1e-9)) > 35


def test_a_cut_prompt_is_one_note(tmp_path):
    result = run("image", "a red apple " * 4, "-n", 3, "--steps", 1, "-o", tmp_path)
    assert result.exit_code == 0
    assert result.stderr.count("note: the prompt's end was cut") == 1


# --- other commands -----------------------------------------------------------------------------------------


def test_models_are_listed():
    result = run("models")
    assert result.exit_code == 0
    assert result.stdout.startswith("sticker\ttext-to-image\t")


def test_info_prints_no_control_characters(tmp_path):
    save_image(Image.new("RGBA", (4, 4)), tmp_path / "x.png", {"model": "\x1b[2Jsticker\n"})
    assert run("info", tmp_path / "x.png").stdout == "model: [2Jsticker\n"


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([""], "the prompt is empty"),
        (["x" * 10_000], "10000 characters; accepted: at most 300"),
        (["a \U0001f98a"], "English words in Latin letters"),
        (["\u043b\u0438\u0441\u0430"], "English words in Latin letters"),
        (["1234"], "no letters"),
        (["a fox", "--style", "baroque"], "'baroque'; accepted: 3d, flat, noto"),
        (["a fox", "--steps", "0"], "0 steps are not offered; accepted: 1, 2, 4"),
        (["a fox", "--steps", "3"], "3 steps are not offered"),
        (["a fox", "--seed", "-1"], "accepted: 0 to 4294967295"),
        (["a fox", "-n", "0"], "accepted: 1 or more"),
        (["a fox", "--threads", "0"], "threads is 0"),
        (["a fox", "--backend", "onnx"], "accepted: litert, coreml, torch"),
        (["a fox", "--model", "soup"], "the models are: sticker"),
        (["a fox", "--model", "./soup"], "no bundle"),
        (["a fox", "--prompts", "nowhere.txt"], "cannot read prompts from nowhere.txt: No such file"),
        (["a fox", "-o", "fox.jpg"], "does not end in .png or .webp"),
        (["a fox", "-o", "fox.png", "--format", "webp"], "do not fit"),
        (["a fox", "-o", "fox.png", "-n", "2"], "is one file for 2 pictures"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    assert_one_line_and_code_2(run("image", *arguments), complaint)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a fox\na \xe7\x8b\x90\n", "prompts.txt, line 2: the prompt holds"),
        (b"# only a remark\n\n", "holds no prompts"),
        (b"\xff\xfe\x00", "it is not UTF-8 text"),
    ],
)
def test_a_bad_prompts_file_is_refused_as_a_whole(tmp_path, content, complaint):
    (tmp_path / "prompts.txt").write_bytes(content)
    result = run("image", "--prompts", tmp_path / "prompts.txt", "-o", tmp_path / "out")
    assert_one_line_and_code_2(result, complaint)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [["image"], ["image", "--nonsense"], ["soup"], ["info"]])
def test_wrong_usage_exits_with_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_a_model_for_something_else(tmp_path, upscale_bundle):
    result = run("image", "a fox", "--model", f"{upscale_bundle}/", "-o", tmp_path / "out")
    assert_one_line_and_code_2(result, "is a model for upscale, not for text-to-image; give sticker, say")
    assert not (tmp_path / "out").exists()


def test_a_missing_bundle(tmp_path, monkeypatch):
    result = run("image", "a fox", "--model", tmp_path / "none", "-o", tmp_path / "out")
    assert_one_line_and_code_2(result, "no bundle")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda content: content[:-100], "bytes, metadata says"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "has sha256"),
        (lambda content: b"", "has 0 bytes"),
    ],
)
@pytest.mark.parametrize("component", ["text_encoder", "denoiser", "decoder"])
def test_a_damaged_bundle(bundle_folder, tmp_path, damage, complaint, component):
    graph = bundle_folder / "litert" / f"{component}.tflite"
    graph.write_bytes(damage(graph.read_bytes()))
    result = run("image", "a fox", "--model", bundle_folder, "-o", tmp_path / "out")
    assert_one_line_and_code_2(result, complaint)
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").touch()
    assert_one_line_and_code_2(run("image", "a fox", "-o", tmp_path / "file" / "out"), "cannot make the folder")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(tmp_path):
    tmp_path.chmod(0o500)
    assert_one_line_and_code_2(run("image", "a fox", "-o", tmp_path), "cannot write")


class Filling:
    """A file on a disk that is full after half of what is written."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(tmp_path, monkeypatch):
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, mode="r", **kw: Filling(real(self, mode)) if mode == "xb" else real(self, mode, **kw)
    )
    result = run("image", "a fox", "-o", tmp_path)
    assert_one_line_and_code_2(result, "No space left on device")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_behind_standard_output():
    with open("/dev/full", "w") as full:
        result = run_process("models", stdout=full)
    assert result.returncode == 2
    assert result.stderr.splitlines()[0] == "error: [Errno 28] No space left on device"
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["none.png", "other.png", "text.png"])
def test_info_refuses_what_mobigen_did_not_make(tmp_path, name):
    Image.new("RGBA", (4, 4)).save(tmp_path / "other.png")
    (tmp_path / "text.png").write_text("no picture")
    assert_one_line_and_code_2(run("info", tmp_path / name), name)


# --- debugging, interruption, chatter -----------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"argument": ["--debug"]}, {"env": {"MOBIGEN_DEBUG": "1"}}])
def test_debug_shows_the_traceback(options):
    result = run("image", "", *options.get("argument", []), env=options.get("env"))
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "check_prompt" in result.stderr
    assert result.stderr.endswith("error: the prompt is empty; say what to draw, for example: a red apple\n")


def test_an_interrupted_save_leaves_no_half_file(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    result = run("image", "a fox", "-o", tmp_path)
    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="signals are Unix's")
def test_ctrl_c_keeps_whole_pictures_only(tmp_path):
    arguments = command("image", "a fox", "-n", 100_000, "--seed", 0, "-o", tmp_path)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, chatter = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in chatter
    assert chatter.endswith("\ninterrupted\n")
    made = sorted(tmp_path.iterdir())
    assert len(made) >= 5
    assert all(read_parameters(path)["prompt"] == "a fox" for path in made)


@pytest.mark.skipif(sys.platform == "win32", reason="the shell is Unix's")
def test_a_closed_standard_error_does_no_harm(tmp_path):
    line = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command("image", "a fox", "-o", tmp_path / "fox.png")]
    assert subprocess.run(line, cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0
    assert read_parameters(tmp_path / "fox.png")["prompt"] == "a fox"


def test_libraries_keep_quiet(tmp_path):
    process = run_process("image", "a fox", "--seed", 1, "-o", tmp_path)
    assert process.stderr == "picture 1 of 1: a fox\n"
    assert process.stdout == f"{tmp_path / 'a-fox_3d_4steps_seed1.png'}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix's")
def test_a_terminal_gets_one_line_that_changes(tmp_path):
    import pty

    outer, inner = pty.openpty()
    assert run_process("image", "a fox", "--steps", 2, "-o", tmp_path, stderr=inner).returncode == 0
    os.close(inner)
    shown = os.read(outer, 10_000).decode()
    os.close(outer)
    assert shown == "\rpicture 1 of 1, step 1\rpicture 1 of 1, step 2\r\x1b[K"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix's")
def test_an_error_wipes_the_line_of_progress(tmp_path):
    import pty

    outer, inner = pty.openpty()
    (tmp_path / "a-fox_3d_1steps_seed0.png").mkdir()
    arguments = ["image", "a fox", "--steps", 1, "--seed", 0, "-o", tmp_path]
    assert run_process(*arguments, stderr=inner).returncode == 2
    os.close(inner)
    shown = os.read(outer, 10_000).decode()
    os.close(outer)
    assert shown.startswith("\rpicture 1 of 1, step 1\r\x1b[Kerror: cannot write")
