"""What a report measures and where it says so."""

import json

import pytest

from mobigen.export import report
from mobigen.export.report import GraphReport, Timing, time_component, write_report

pytest.importorskip("litert_torch")


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [0.0]
    monkeypatch.setattr(report.time, "perf_counter", lambda: now[0])
    return now


def test_load_first_run_and_the_rest_are_apart(clock):
    lengths = iter([0.5, *[0.001, 0.9, 0.003, 0.002, 0.002]])

    def run(**inputs):
        assert inputs == {"x": 1}
        clock[0] += next(lengths)

    def load():
        clock[0] += 2.0
        return run

    timing = time_component(load, {"x": 1}, threads=3, runs=5)
    assert timing == Timing(threads=3, load_ms=2000.0, first_run_ms=500.0, median_run_ms=2.0)
    assert next(lengths, None) is None


def test_a_report_adds_up(tmp_path):
    timing = Timing(2, 1.0, 2.0, 3.0)
    graphs = [
        GraphReport(name, "litert", "float16", 10, size, {"y": 50.0}, 4, timing)
        for name, size in (("denoiser", 100), ("decoder", 23))
    ]
    write_report(tmp_path / "report.json", "sticker", graphs, [40.06, 41.0])
    values = json.loads((tmp_path / "report.json").read_text())
    assert values["model"] == "sticker"
    assert values["bytes"] == 123
    assert values["pictures_db"] == [40.1, 41.0]
    assert values["graphs"][1]["component"] == "decoder"
    assert values["graphs"][1]["timing"] == {
        "threads": 2, "load_ms": 1.0, "first_run_ms": 2.0, "median_run_ms": 3.0
    }  # fmt: skip
    assert set(values["machine"]) == {"processor", "cores", "system"}
    assert set(values["converters"]) == set(report.CONVERTERS)
