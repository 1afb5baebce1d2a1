"""`python -m mobigen`: the command line, for launchers that want a module."""

from mobigen.cli import cli

cli(prog_name="mobigen")
