"""Ranges on disk: what is written comes back, and what is damaged is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_upscaler import tiny_upscaler

from mobigen.errors import WeightsError
from mobigen.quantization.ranges import LayerRanges, learned_layers, read_ranges, write_ranges

spans = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)).map(lambda pair: tuple(sorted(pair)))


@settings(max_examples=30)
@given(st.dictionaries(st.text(min_size=1), st.builds(LayerRanges, spans, spans)))
def test_what_is_written_comes_back(tmp_path_factory, ranges):
    folder = tmp_path_factory.mktemp("component")
    write_ranges(folder, ranges)
    assert read_ranges(folder) == ranges
    assert [path.name for path in folder.iterdir()] == ["quantization.json"]


def test_a_component_without_the_file_has_no_ranges(tmp_path):
    assert read_ranges(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"layers": []}', '{"layers": {"a": {"input": [0, 1]}}}',
        '{"layers": {"a": {"input": [0, 1], "output": [1, 0]}}}',
        '{"layers": {"a": {"input": [0, 1], "output": [0]}}}',
        '{"layers": {"a": {"input": [0, "x"], "output": [0, 1]}}}',
        '{"layers": {"a": {"input": [0, NaN], "output": [0, 1]}}}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "quantization.json").write_text(text)
    with pytest.raises(WeightsError, match=r"quantization\.json is damaged") as caught:
        read_ranges(tmp_path)
    assert "\n" not in str(caught.value)


def test_layers_come_with_their_weights():
    network, ranges = tiny_upscaler(), LayerRanges((0.0, 1.0), (-1.0, 2.0))
    (layer,) = learned_layers(network, {"mix": ranges})
    assert (layer.name, layer.ranges) == ("mix", ranges)
    assert np.array_equal(layer.weight, network.mix.weight.detach().numpy())


def test_ranges_of_another_network_are_refused():
    with pytest.raises(WeightsError, match=r"speaks of entry, which this upscaler lacks"):
        learned_layers(tiny_upscaler(), {"entry": LayerRanges((0, 1), (0, 1))})


def test_the_file_reads_as_it_says(tmp_path):
    write_ranges(tmp_path, {"entry": LayerRanges((-1.0, 1.0), (0.0, 5.25))})
    values = json.loads((tmp_path / "quantization.json").read_text())
    assert values == {"layers": {"entry": {"input": [-1.0, 1.0], "output": [0.0, 5.25]}}}
