"""Graphs of whole numbers: clamps that saturation takes over, stated ranges, and what is refused."""

import pytest
from tiny_upscaler import arrays, tiny_upscaler

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

from torch.nn import functional as F  # noqa: E402

from mobigen.errors import ExportError  # noqa: E402
from mobigen.export.flatbuffer import FlatGraph  # noqa: E402
from mobigen.export.integer import check_integer, edge_ranges, fold_clamps  # noqa: E402
from mobigen.export.litert import convert  # noqa: E402
from mobigen.export.parity import compare  # noqa: E402
from mobigen.export.quantize import quantize  # noqa: E402
from mobigen.quantization.ranges import LayerRanges, learned_layers  # noqa: E402
from mobigen.runtime.litert import LiteRTComponent  # noqa: E402
from mobigen.runtime.torch import TorchComponent  # noqa: E402


class Variant(type(tiny_upscaler())):
    """The upscaler's layers and signature about another body."""

    def __init__(self, body):
        super().__init__()
        self.body_of = body

    def forward(self, image):
        return self.body_of(self, image)


def clamped_head(net, x):
    return F.pixel_shuffle(net.head(net.left(x)).clamp(0, 1), 2)


def shuffled_then_clamped(net, x):
    return F.pixel_shuffle(net.head(net.left(x)), 2).clamp(0, 1)


def clamped_beside_a_reader(net, x):
    y = net.left(x)
    return F.pixel_shuffle(net.head(y.clamp(0, 1) + y), 2)


def clamped_into_a_concatenation(net, x):
    return F.pixel_shuffle(net.head(net.mix(torch.cat([net.left(x).clamp(0, 1), 8 * net.right(x)], 1))), 2)


def through_a_sine(net, x):
    return F.pixel_shuffle(net.head(torch.sin(net.left(x))), 2)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory, upscaler_graph):
    """Body -> network and path of its float32 graph, made once; the upscaler's own without one."""
    folder, made = tmp_path_factory.mktemp("graphs"), {}

    def graph(body=None):
        if body is None:
            return upscaler_graph()
        if body not in made:
            torch.manual_seed(0)
            network, path = Variant(body).eval(), folder / f"{body.__name__}.tflite"
            convert(network, path)
            made[body] = network, path
        return made[body]

    return graph


def kinds(graph):
    return [graph.kind(each) for each in graph.operators]


@pytest.mark.parametrize("body", [clamped_head, shuffled_then_clamped])
def test_a_clamp_behind_arithmetic_is_folded_into_a_range(body, graphs, tmp_path):
    network, path = graphs(body)
    graph = FlatGraph(path)
    before, result = kinds(graph), graph.outputs()["upscaled"]
    bounds = fold_clamps(graph)
    assert "RELU_0_TO_1" in before
    assert "RELU_0_TO_1" not in kinds(graph)
    assert len(kinds(graph)) == len(before) - 1
    assert set(bounds.values()) == {(0.0, 1.0)}
    assert "CONV_2D" in {graph.kind(graph.maker(tensor)) for tensor in bounds}
    assert graph.outputs()["upscaled"] == result
    graph.write(tmp_path / "folded.tflite")
    FlatGraph(tmp_path / "folded.tflite")
    samples = arrays(network, 3)
    reference = TorchComponent(network, network.signature())
    narrow = tmp_path / "narrow.tflite"
    quantize(path, narrow, "int8-full", samples, network.signature())
    assert compare(reference, LiteRTComponent(narrow, network.signature(), 1), samples)["upscaled"] > 35
    assert "RELU_0_TO_1" not in kinds(FlatGraph(narrow))


def test_a_learned_range_goes_with_the_layer_whose_clamp_is_folded(graphs, tmp_path):
    network, path = graphs(clamped_head)
    learned = learned_layers(network, {"head": LayerRanges((-3.0, 3.0), (0.0, 0.5))})
    quantize(path, tmp_path / "narrow.tflite", "int8-full", arrays(network, 2), learned=learned)
    graph = FlatGraph(tmp_path / "narrow.tflite")
    *_, head = [each for each in graph.operators if graph.kind(each) == "CONV_2D"]
    assert graph.range(head.inputs[0]) == pytest.approx((-3, 3), abs=0.02)
    assert graph.range(head.outputs[0]) == pytest.approx((0, 0.5))


def test_a_clamp_that_has_to_stay_is_refused(graphs, tmp_path):
    network, path = graphs(clamped_beside_a_reader)
    graph = FlatGraph(path)
    assert fold_clamps(graph) == {}
    assert "RELU_0_TO_1" in kinds(graph)
    with pytest.raises(ExportError, match="int8-full would leave RELU_0_TO_1 in float; choose int8-static"):
        quantize(path, tmp_path / "out.tflite", "int8-full", arrays(network, 2))
    assert not (tmp_path / "out.tflite").exists()


def test_a_clamp_whose_range_another_operation_widens_is_refused(graphs, tmp_path):
    """All inputs of a concatenation get its own range, here that of the other half."""
    network, path = graphs(clamped_into_a_concatenation)
    assert fold_clamps(FlatGraph(path))
    with pytest.raises(ExportError, match=r"int8-full would lose a clamp to \[0, 1\]"):
        quantize(path, tmp_path / "out.tflite", "int8-full", arrays(network, 2))
    quantize(path, tmp_path / "out.tflite", "int8-static", arrays(network, 2))


def test_an_operation_without_an_integer_form_is_refused(graphs, tmp_path):
    network, path = graphs(through_a_sine)
    with pytest.raises(ExportError, match="int8-full would leave SIN in float"):
        quantize(path, tmp_path / "out.tflite", "int8-full", arrays(network, 2))
    assert list(tmp_path.iterdir()) == []


def test_stated_ranges_reach_what_the_edges_are_moved_forms_of(graphs):
    network, path = graphs()
    graph = FlatGraph(path)
    fold_clamps(graph)
    ranges = edge_ranges(graph, network.signature())
    assert set(ranges.values()) == {(0.0, 1.0)}
    assert graph.inputs()["image"] in ranges
    *_, last = [each for each in graph.operators if graph.kind(each) == "ADD"]
    assert last.outputs[0] in ranges


def test_a_float_graph_is_not_integer(graphs):
    _, path = graphs()
    with pytest.raises(ExportError, match=r"int8-full would leave ADD, CONCATENATION, CONV_2D, .* in float"):
        check_integer(FlatGraph(path), "int8-full", "FLOAT32", {})
