"""Descriptors go silent and come back, also where one is closed."""

import os
import subprocess
import sys

import pytest

from mobigen.quiet import quiet_descriptors


def test_only_the_named_descriptor_is_silent(capfd):
    with quiet_descriptors(2):
        os.write(2, b"native\n")
        os.write(1, b"heard\n")
    os.write(2, b"after\n")
    assert capfd.readouterr() == ("heard\n", "after\n")


def test_an_error_ends_the_silence(capfd):
    with pytest.raises(ValueError, match="inside"), quiet_descriptors(1, 2):
        raise ValueError(f"inside, after {os.write(1, b'native')} bytes")
    os.write(1, b"after\n")
    assert capfd.readouterr().out == "after\n"


def test_a_process_without_standard_error():
    program = """
import os
from mobigen.quiet import quiet_descriptors
os.close(2)
with quiet_descriptors(1, 2):
    os.write(1, b"native")
os.write(1, b"after")
"""
    result = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
    assert result.stdout == b"after"
