"""A plan by measurement: the smallest forms that are good enough, alone and together."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

from mobigen.errors import ParityError  # noqa: E402
from mobigen.export import tuning  # noqa: E402
from mobigen.export.backends import BACKENDS, Backend  # noqa: E402
from mobigen.export.engine import REPORT, export_model  # noqa: E402
from mobigen.export.source import read_source  # noqa: E402
from mobigen.export.tuning import tune_model  # noqa: E402
from mobigen.runtime.torch import TorchComponent  # noqa: E402


class Rounded:
    """A network whose outputs are rounded to a share of their largest magnitude."""

    def __init__(self, part, share):
        self.component, self.share = TorchComponent(part.network, part.network.signature()), share
        self.signature = self.component.signature

    def __call__(self, **inputs):
        return {name: self._round(values) for name, values in self.component(**inputs).items()}

    def _round(self, values):
        step = np.float32(np.abs(values).max() * self.share) or np.float32(1)
        return np.round(values / step) * step


class RoundingBackend(Backend):
    """Graphs of a stated size and roughness, in place of a converter's."""

    name, suffix, packages, timed = "litert", ".graph", (), False
    precisions = ("float16", "float32", "int8-dynamic")
    bytes = {"float32": 400, "float16": 200, "int8-dynamic": 100}  # noqa: RUF012
    shares = {"float32": 1e-6, "float16": 1e-4, "int8-dynamic": 0.02}  # noqa: RUF012

    def convert(self, part, target, precision, calibration, scratch):
        assert calibration
        target.write_bytes(bytes(self.bytes[precision]))

    def open(self, part, path, precision, size=None):
        assert path.exists()
        return Rounded(part, self.shares[precision])


@pytest.fixture
def backend(monkeypatch):
    made = RoundingBackend()
    monkeypatch.setitem(BACKENDS, "litert", made)
    return made


def test_the_smallest_form_is_kept_where_the_pipeline_allows_it(tiny_weights, backend, monkeypatch):
    monkeypatch.setattr(tuning.TASKS["text-to-image"], "RESULT_FLOOR", 0.0)
    result = tune_model(read_source("sticker", tiny_weights), ["litert"])
    assert result.plan == {"litert": dict.fromkeys(("text_encoder", "denoiser", "decoder"), "int8-dynamic")}
    first = result.trials["litert"]["denoiser"][0]
    assert (first.name, first.bytes, first.milliseconds) == ("float32", 400, None)


def test_the_roughest_component_goes_on_until_the_result_is_good(tiny_weights, backend, monkeypatch):
    monkeypatch.setattr(tuning.TASKS["text-to-image"], "RESULT_FLOOR", 50.0)
    lines = []
    result = tune_model(read_source("sticker", tiny_weights), ["litert"], lines.append)
    plan = result.plan["litert"]
    assert plan != dict.fromkeys(plan, "int8-dynamic")
    tried = [line for line in lines if "the whole pipeline" in line]
    assert tried[0].endswith("with int8-dynamic, int8-dynamic, int8-dynamic")
    assert len(tried) > 1
    changed = next(name for name in plan if plan[name] != "int8-dynamic")
    reasons = {each.name: each.reason for each in result.trials["litert"][changed]}
    assert reasons["int8-dynamic"] == "good enough alone, but not for the pipeline's result"
    assert [each.kept for each in result.trials["litert"][changed]].count(True) == 1


def test_no_plan_comes_of_forms_that_are_never_good_enough_together(tiny_weights, backend, monkeypatch):
    monkeypatch.setattr(tuning.TASKS["text-to-image"], "RESULT_FLOOR", 1000.0)
    with pytest.raises(ParityError, match="every component in its best form"):
        tune_model(read_source("sticker", tiny_weights), ["litert"])


def test_a_network_is_tuned_on_litert_and_its_report_tells(tiny_weights, tmp_path):
    source = read_source("polished", tiny_weights / "decoder")
    result = tune_model(source, ["litert"])
    trials = result.trials["litert"]["decoder"]
    assert {each.name for each in trials} == set(BACKENDS["litert"].precisions)
    kept = next(each for each in trials if each.kept)
    good = [each for each in trials if each.decibels is not None and each.decibels >= each.floor]
    assert kept.bytes <= 1.02 * min(each.bytes for each in good)
    assert all(each.ratio > 0 for each in good)
    refused = next(each for each in trials if each.name == "uint8-full")
    assert "cannot stand for latent" in refused.reason  # whose range nobody states
    out = export_model(source, tmp_path / "polished", result.plan, trials=result.trials)
    report = json.loads((out / REPORT).read_text())
    assert [each["name"] for each in report["tuning"]["litert"]["decoder"]] == [each.name for each in trials]
