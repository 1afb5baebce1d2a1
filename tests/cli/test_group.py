"""What all commands share."""

import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from command_line import ROOT, run, run_process

from mobigen import __version__
from mobigen.cli import cli
from mobigen.cli.group import Group, needs_extra
from mobigen.errors import InputError, MissingExtraError


def test_a_group_in_the_group_behaves_alike():
    outer = Group()

    @outer.group()
    def data(): ...

    @data.command()
    def pack():
        raise InputError("no such folder")

    result = CliRunner().invoke(outer, ["data", "pack", "--debug"])
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: no such folder\n")


def test_version():
    assert run("--version").stdout == f"mobigen, version {__version__}\n"


def commands(group, *path):
    for name, each in group.commands.items():
        if isinstance(each, Group):
            yield from commands(each, *path, name)
        else:
            yield [*path, name]


def test_every_command_has_help_and_debug():
    found = list(commands(cli))
    assert {("image",), ("train",), ("data", "pack")} <= set(map(tuple, found))
    for path in found:
        result = run(*path, "--help")
        assert result.exit_code == 0
        assert "--debug" in result.stdout


def test_help_is_quick():
    durations = []
    for _ in range(3):
        begin = time.perf_counter()
        assert run_process("--help").returncode == 0
        durations.append(time.perf_counter() - begin)
    assert min(durations) < 0.6  # 0.1 s on a free machine


# --- what is not installed ----------------------------------------------------------------------------------

WITHOUT = "import sys; sys.modules[sys.argv[1]] = None; from mobigen.cli import cli; cli(sys.argv[2:])"


def run_without(package, *arguments):
    """The command line where a package is not installed."""
    line = [sys.executable, "-c", WITHOUT, package, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("torch", ["train", "sticker", "--data", ".", "--out", "out"], "train"),
        ("accelerate", ["train", "sticker", "--data", ".", "--out", "out"], "train"),
        ("torch", ["distill", "sticker", "--data", ".", "--out", "out"], "train"),
        ("torch", ["evaluate", "sticker", "--data", "."], "train"),
        ("webdataset", ["data", "pack", ".", "--out", "out"], "train"),
        ("torch", ["export", "sticker"], "export"),
        ("torch", ["doctor", "sticker"], "train"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(package, arguments, extra):
    process = run_without(package, *arguments)
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr.count("\n") == 1
    assert f"needs {package}; run: pip install 'mobigen[{extra}]'" in process.stderr


def test_help_of_training_needs_no_torch():
    process = run_without("torch", "train", "--help")
    assert process.returncode == 0
    assert "--max-train-steps" in process.stdout
    assert "pip install 'mobigen[train]'" in " ".join(process.stdout.split())


def test_a_module_of_our_own_that_is_missing_is_not_hidden():
    with pytest.raises(ModuleNotFoundError, match="nowhere"), needs_extra("train", "training"):
        import mobigen.nowhere  # noqa: F401
    with pytest.raises(MissingExtraError, match="training needs nowhere_at_all"), needs_extra("train", "training"):
        import nowhere_at_all  # noqa: F401
