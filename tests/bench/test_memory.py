"""The memory of a process, and the page cache."""

import subprocess
import sys

import pytest

from mobigen.bench.memory import drop_from_cache, peak_resident

unix = pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell")


@unix
def test_the_peak_is_this_processes_own_and_stays():
    before = peak_resident()
    program = (
        "from mobigen.bench.memory import peak_resident; small = peak_resident(); len(b'x' * 100_000_000); "
        "print(small, peak_resident())"
    )
    ballast = b"x" * 200_000_000  # which a process started by this one must not count
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    small, large = map(int, shown.split())
    assert small < 60e6 < len(ballast)
    assert 90e6 < large - small < 130e6
    assert peak_resident() - before > 150e6


@pytest.mark.skipif(sys.platform != "linux", reason="the system cannot be asked")
def test_what_is_dropped_from_the_cache_is_still_there(tmp_path):
    (tmp_path / "graph").write_bytes(b"abc" * 10_000)
    assert drop_from_cache(tmp_path / "graph")
    assert drop_from_cache(tmp_path)
    assert (tmp_path / "graph").read_bytes() == b"abc" * 10_000
