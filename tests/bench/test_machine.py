"""What a record says of the machine and of versions."""

import platform

from mobigen import __version__
from mobigen.bench.machine import describe_machine, describe_versions


def test_the_machine_is_named():
    machine = describe_machine()
    assert set(machine) == {"processor", "cores", "system"}
    assert machine["processor"]
    assert machine["cores"] >= 1
    assert platform.machine() in machine["system"]


def test_versions_of_what_is_there_and_what_is_not():
    found = describe_versions(["numpy", "no-such-package"])
    assert found["mobigen"] == __version__
    assert found["python"] == platform.python_version()
    assert found["numpy"][0].isdigit()
    assert found["no-such-package"] == "not installed"
