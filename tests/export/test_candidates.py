"""Every precision of a real, tiny network, tuned."""

import pytest
from tiny_upscaler import arrays, tiny_upscaler

pytest.importorskip("litert_torch")

from mobigen.export.candidates import litert_candidates  # noqa: E402
from mobigen.export.parity import floor_of  # noqa: E402
from mobigen.export.quantize import PRECISIONS  # noqa: E402
from mobigen.export.tune import choose, tune  # noqa: E402
from mobigen.models.ranges import LayerRanges, learned_layers  # noqa: E402
from mobigen.runtime.torch import TorchComponent  # noqa: E402


@pytest.fixture(scope="module")
def network():
    return tiny_upscaler(width=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Shared, so that the float32 graph is made once."""
    return tmp_path_factory.mktemp("candidates")


def test_all_precisions_are_tried(network, folder):
    candidates = litert_candidates(network, arrays(network, 3, seed=1), threads=1)
    assert [each.name for each in candidates] == list(PRECISIONS)
    assert [each.floor for each in candidates] == [floor_of(name) for name in PRECISIONS]
    reference = TorchComponent(network, network.signature())
    trials = tune(reference, candidates, arrays(network, 3), folder, rounds=2)
    assert all(trial.decibels >= trial.floor for trial in trials)
    assert trials[0].ratio == 1
    assert choose(trials).bytes < 0.7 * trials[0].bytes


def test_what_cannot_be_written_is_said(network, folder):
    wrong = learned_layers(network, {"mix": LayerRanges((0, 1), (0, 1))})
    wrong[0].weight[:] += 1  # no longer that of the graph
    samples = arrays(network, 1)
    candidates = litert_candidates(network, samples, wrong, ["int8-static", "float16"], threads=1)
    assert [each.name for each in candidates] == ["float32", "int8-static", "float16"]
    reference = TorchComponent(network, network.signature())
    _, static, half = tune(reference, candidates, samples, folder, rounds=1)
    assert "no operation with the weight of mix" in static.reason
    assert half.decibels > 60
