"""Runs the command line in a test: in this process, or in one of its own."""

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from mobigen.cli import cli

ROOT = Path(__file__).parent.parent


def run(*arguments, **options):
    return CliRunner().invoke(cli, [str(each) for each in arguments], **options)


def command(*arguments):
    return [sys.executable, "-m", "mobigen", *map(str, arguments)]


def run_process(*arguments, **options):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(command(*arguments), text=True, cwd=ROOT, **pipes)


def assert_one_line_and_code_2(result, complaint=""):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert complaint in result.stderr
