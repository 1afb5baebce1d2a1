"""Ranges of a graph's tensors: observed on inputs, and found for layers by their weights."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_upscaler import arrays, tiny_upscaler

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

from mobigen.errors import ExportError  # noqa: E402
from mobigen.export.flatbuffer import FlatGraph  # noqa: E402
from mobigen.export.litert import convert  # noqa: E402
from mobigen.export.ranges import learned_ranges, observe_ranges  # noqa: E402
from mobigen.nn.conv import DepthwiseConv3x3  # noqa: E402
from mobigen.quantization.ranges import LayerRanges, LearnedLayer  # noqa: E402


@pytest.fixture
def network(upscaler_graph):
    return upscaler_graph()[0]


@pytest.fixture
def path(upscaler_graph):
    return upscaler_graph()[1]


def layer(name, weight, seed=0):
    low, high = sorted(np.random.default_rng(seed).normal(size=2).tolist())
    return LearnedLayer(name, weight.detach().numpy(), LayerRanges((low, high), (2 * low, 2 * high)))


def test_every_activation_has_its_extremes(network, path):
    inputs = arrays(network, 3)
    ranges = observe_ranges(path, inputs)
    graph = FlatGraph(path)
    assert set(ranges) == set(graph.activations().values())
    pictures = np.stack([each["image"] for each in inputs])
    results = np.stack([network(**{k: torch.from_numpy(v) for k, v in each.items()}).detach() for each in inputs])
    for tensors, values in ((graph.inputs(), pictures), (graph.outputs(), results)):
        (tensor,) = tensors.values()
        assert ranges[graph.name(tensor)] == pytest.approx((values.min(), values.max()), abs=1e-5)


def test_no_constant_has_a_range(path, network):
    graph = FlatGraph(path)
    named = set(observe_ranges(path, arrays(network, 1)))
    assert not any(graph.name(t) in named for op in graph.operators for t in op.inputs if graph.is_constant(t))


def test_an_input_that_is_not_finite_is_refused(path):
    with pytest.raises(ExportError, match=r"from_0\.tflite: .* is not finite on a calibration input"):
        observe_ranges(path, [{"image": np.full((1, 3, 8, 8), np.nan, np.float32)}])


def test_a_layer_is_found_by_its_weight(network, path):
    graph = FlatGraph(path)
    layers = [layer(name, network.get_submodule(name).weight, seed) for seed, name in enumerate(("mix", "body"))]
    ranges = learned_ranges(graph, layers)
    convolutions = [each for each in graph.operators if graph.kind(each) == "CONV_2D"]
    mix, body = convolutions[2:4]  # behind the left and the right one
    assert ranges == {
        graph.name(mix.inputs[0]): layers[0].ranges.input,
        graph.name(mix.outputs[0]): layers[0].ranges.output,  # and not what `body` takes for its input
        graph.name(body.outputs[0]): layers[1].ranges.output,
    }


class Kinds(type(tiny_upscaler())):
    """A layer of each kind, in the upscaler's skin."""

    def __init__(self):
        super().__init__()
        self.grouped = torch.nn.Conv2d(12, 12, 3, padding=1, groups=3)
        self.depthwise, self.linear = DepthwiseConv3x3(12), torch.nn.Linear(12, 12)

    def forward(self, image):
        x = self.grouped(self.head(self.left(image))).permute(0, 2, 3, 1)
        return torch.nn.functional.pixel_shuffle(self.linear(self.depthwise(x)).permute(0, 3, 1, 2), 2)


def test_layers_of_every_kind_are_found(tmp_path):
    network = Kinds().eval()
    convert(network, tmp_path / "kinds.tflite")
    names = ("left", "head", "grouped", "depthwise", "linear")
    layers = [layer(name, network.get_submodule(name).weight, seed) for seed, name in enumerate(names)]
    ranges = learned_ranges(FlatGraph(tmp_path / "kinds.tflite"), layers)
    assert {each.ranges.output for each in layers} <= set(ranges.values())


def test_a_layer_that_is_not_in_the_graph_is_refused(network, path):
    known, other = layer("mix", network.mix.weight), layer("body", network.body.weight + 1e-3)
    with pytest.raises(ExportError, match="no operation with the weight of body; export the network that"):
        learned_ranges(FlatGraph(path), [known, other])


def test_two_layers_of_one_weight_are_refused(network, path):
    known = layer("mix", network.mix.weight)
    with pytest.raises(ExportError, match="two layers have the same weight"):
        learned_ranges(FlatGraph(path), [known, replace(known, name="other")])
