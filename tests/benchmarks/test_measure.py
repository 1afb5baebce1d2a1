"""The measuring itself: order of rounds, medians, commands and records."""

import json
import sys

import pytest

from benchmarks.measure import in_rounds, median, print_table, run_command, write_record
from mobigen.errors import MobigenError


def test_rounds_alternate_after_one_run_of_each():
    order = []
    seconds = in_rounds({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 4
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}
    assert all(value >= 0 for values in seconds.values() for value in values)


def test_median_is_the_middle_one():
    assert median([5, 1, 100]) == 5
    assert median([1.23456]) == 1.235


def test_a_commands_memory_is_its_own():
    hundred = 100 * 2**20
    seconds, small = run_command([sys.executable, "-c", "import time; time.sleep(0.2)"])
    assert seconds >= 0.2
    _, large = run_command([sys.executable, "-c", f"len(b'x' * {hundred})"])
    assert hundred * 0.9 < large - small < hundred * 1.3
    assert run_command([sys.executable, "-c", ""])[1] < large  # not the largest so far


def test_a_command_that_fails_says_why():
    with pytest.raises(MobigenError, match="no such thing"):
        run_command([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_a_record_says_where_and_when(tmp_path):
    write_record(tmp_path / "deep" / "record.json", 2, {"picture": 1})
    record = json.loads((tmp_path / "deep" / "record.json").read_text())
    assert record["picture"] == 1
    assert record["machine"]["threads"] == 2
    assert record["versions"]["mobigen"]
    assert record["date"].startswith("20")


def test_tables_line_up(capsys):
    print_table([["name", "ms"], ["a long name", "1"], ["b", "100"]])
    assert capsys.readouterr().out == "name          ms\na long name    1\nb            100\n"
