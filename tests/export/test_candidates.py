"""Every precision of a real, tiny network, tuned."""

import shutil

import pytest
from tiny_upscaler import arrays

pytest.importorskip("litert_torch")

from mobigen.export.candidates import litert_candidates
from mobigen.export.parity import floor_of
from mobigen.export.quantize import PRECISIONS
from mobigen.export.tune import choose, tune
from mobigen.models.ranges import LayerRanges, learned_layers
from mobigen.runtime.torch import TorchComponent


@pytest.fixture
def network(upscaler_graph, tmp_path):
    """The float32 graph is there already, as a tuner finds it from the second candidate on."""
    network, path = upscaler_graph()
    shutil.copy(path, tmp_path / "float32.tflite")
    return network


def test_all_precisions_are_tried(network, tmp_path):
    candidates = litert_candidates(network, arrays(network, 3, seed=1), threads=1)
    assert [each.name for each in candidates] == list(PRECISIONS)
    assert [each.floor for each in candidates] == [floor_of(name) for name in PRECISIONS]
    reference = TorchComponent(network, network.signature())
    trials = tune(reference, candidates, arrays(network, 3), tmp_path, rounds=2)
    assert all(trial.decibels >= trial.floor for trial in trials)
    assert trials[0].ratio == 1
    assert choose(trials).bytes < trials[0].bytes


def test_what_cannot_be_written_is_said(network, tmp_path):
    wrong = learned_layers(network, {"mix": LayerRanges((0, 1), (0, 1))})
    wrong[0].weight[:] += 1  # no longer that of the graph
    samples = arrays(network, 1)
    candidates = litert_candidates(network, samples, wrong, ["int8-static", "float16"], threads=1)
    assert [each.name for each in candidates] == ["float32", "int8-static", "float16"]
    reference = TorchComponent(network, network.signature())
    _, static, half = tune(reference, candidates, samples, tmp_path, rounds=1)
    assert "no operation with the weight of mix" in static.reason
    assert half.decibels > 60
