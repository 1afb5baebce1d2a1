"""The comparison runs at tiny size, and the table has a row for each network."""

import pytest

from benchmarks import segment_anything
from benchmarks.cutout import _rows
from mobigen.errors import MissingExtraError


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
