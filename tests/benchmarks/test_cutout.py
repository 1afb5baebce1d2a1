"""The benchmark and its comparison run at tiny size, and the table has a row for each network."""

import json

import pytest
from click.testing import CliRunner

pytest.importorskip("litert_torch")

from benchmarks import cutout, segment_anything
from benchmarks.cutout import _rows
from mobigen.errors import MissingExtraError


def test_clicks_and_graphs_are_measured(cutout_bundle, cutout_weights, tmp_path, monkeypatch):
    monkeypatch.setattr(cutout, "stay_on_cores", lambda count: None)
    record = tmp_path / "record.json"
    options = ["--model", f"{cutout_bundle}/", "--weights", str(cutout_weights), "--rounds", "1", "--threads", "1"]
    result = CliRunner().invoke(cutout.main, [*options, "--skip", "sam", "--record", str(record)])
    assert result.exit_code == 0, result.output
    values = json.loads(record.read_text())
    once = ["a photo, its first mask", "a photo and a click", "a further click"]
    assert list(values["clicks"]) == [*once, *(f"{name}, flip test" for name in once)]
    assert all(seconds > 0 for seconds in values["clicks"].values())
    assert set(values["networks"]) == {
        f"{part}_{precision}" for part in ("image_encoder", "click_decoder") for precision in cutout.PRECISIONS
    }
    assert values["networks"]["image_encoder_float32"]["parameters"] > 0


def test_an_encoder_of_any_size_runs(monkeypatch):
    pytest.importorskip("transformers")
    small = {"hidden_size": 16, "mlp_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "output_channels": 8}
    monkeypatch.setitem(segment_anything.ENCODERS, "small", small)
    run, parameters = segment_anything.encoder("small", 1)
    assert run().shape == (1, 8, 64, 64)
    assert parameters > 64 * 64 * 16


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"mobigen\[bench\]"):
        segment_anything.encoder("sam_vit_b", 1)


def test_a_row_a_network():
    rows = list(_rows({"one": {"bytes": 2_500_000, "parameters": 1_234_000, "seconds": 0.0123}}))
    assert rows[1:] == [["one", "1.23", "2.5", "12.3"]]
