"""What a report measures and where it says so."""

import json

import pytest

pytest.importorskip("litert_torch")

from mobigen.bench.timing import Timing
from mobigen.export.backends import BACKENDS
from mobigen.export.parity import TrailParity
from mobigen.export.report import BackendReport, GraphReport, write_report
from mobigen.export.source import read_source


def test_a_report_adds_up(tiny_weights, tmp_path):
    timing = Timing(2, 1.0, 2.0, 3.0)
    graphs = [
        GraphReport(name, "float16", 10, size, {"y": 50.0}, None, 4, 1.5, timing)
        for name, size in (("denoiser", 100), ("decoder", 23))
    ]
    backend = BackendReport.of(graphs, TrailParity((61.04, 55.55), (40.06, 41.0)))
    write_report(tmp_path / "report.json", read_source("mine", tiny_weights), {"litert": backend})
    values = json.loads((tmp_path / "report.json").read_text())
    assert (values["model"], values["task"]) == ("mine", "text-to-image")
    litert = values["backends"]["litert"]
    assert (litert["bytes"], litert["steps_db"], litert["results_db"]) == (123, [61.0, 55.5], [40.1, 41.0])
    assert litert["graphs"][1]["component"] == "decoder"
    assert litert["graphs"][1]["timing"] == {
        "threads": 2, "load_ms": 1.0, "first_run_ms": 2.0, "median_run_ms": 3.0
    }  # fmt: skip
    assert set(values["machine"]) == {"processor", "cores", "system"}
    assert set(values["converters"]) == set(BACKENDS["litert"].packages)
