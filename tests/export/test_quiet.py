"""Silence reaches native code, and ends."""

import os
import subprocess
import sys
import warnings

import pytest

from mobigen.export.quiet import quiet


def test_nothing_is_heard(capfd):
    with quiet():
        print("Python")
        print("Python", file=sys.stderr)
        os.write(1, b"native\n")
        os.write(2, b"native\n")
        subprocess.run(["echo", "a child"], check=True)
        warnings.warn("a warning, which the tests would raise", stacklevel=1)
    print("after")
    assert capfd.readouterr() == ("after\n", "")


def test_an_error_comes_through_and_ends_it(capfd):
    with pytest.raises(ValueError, match="inside"), quiet():
        raise ValueError("inside")
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_what_was_printed_before_is_not_lost():
    program = """
import sys
from mobigen.export.quiet import quiet
sys.stdout.write("before")
with quiet():
    print("inside")
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("before", "")
