"""A traced network is read as the operations that a phone would execute, and no others."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from one_construct import construct  # noqa: E402
from tiny_networks import tiny  # noqa: E402
from torch import nn  # noqa: E402

from mobigen.export.doctor.graph import UNKNOWN, Value, read_graph  # noqa: E402
from mobigen.export.doctor.magnitudes import measure_magnitudes  # noqa: E402
from mobigen.export.program import capture  # noqa: E402
from mobigen.models.denoiser import Denoiser  # noqa: E402


def graph_of(function, *inputs, modules=()):
    return read_graph(capture(construct(function, *inputs, modules=modules)))


def names(graph):
    return [op.name for op in graph.ops]


def test_assertions_casts_to_the_same_type_copies_and_dropout_are_gone():
    def function(drop, x):
        return drop(x.float().clone().contiguous()) * 2

    assert names(graph_of(function, (1, 4), modules=[nn.Dropout()])) == ["mul"]


def test_what_depends_on_constants_alone_is_computed_by_the_converter():
    graph = graph_of(lambda x: x + torch.arange(4).float().cos() + torch.ones_like(x), (1, 4))
    assert names(graph) == ["add", "add"]
    assert {value.shape for value in graph.constants} == {(4,), (1, 4)}


def test_what_no_output_needs_is_gone():
    def function(x):
        x.exp().sum()
        return x * 2

    assert names(graph_of(function, (1, 4))) == ["mul"]


def test_an_operation_knows_its_neighbours_place_and_arguments():
    def function(conv, x):
        left, right = conv(x).chunk(2, 1)
        return torch.relu(left) + right

    graph = graph_of(function, (1, 8, 6, 6), modules=[nn.Conv2d(8, 4, 3, stride=2)])
    conv, chunk, relu, add = graph.ops
    assert names(graph) == ["conv2d", "chunk", "relu", "add"]
    assert (conv.place, add.place) == ("parts.0", "")
    assert (list(conv.arguments["stride"]), conv.arguments["groups"]) == ([2, 2], 1)
    assert [value.kind for value in conv.inputs] == ["input", "constant", "constant"]
    assert conv.makers == (None, None, None)
    assert chunk.outputs == (relu.inputs[0], add.inputs[1])
    assert add.makers == (relu, chunk)
    assert (conv.read_by, chunk.read_by, add.read_by) == ({"chunk"}, {"relu", "add"}, frozenset())
    assert graph.outputs == add.outputs
    assert conv.out.shape == (1, 4, 2, 2)


def test_tensors_in_lists_are_inputs():
    (cat,) = graph_of(lambda x, y: torch.cat([x, y, x]), (1, 4), (1, 4)).ops
    assert [value.name for value in cat.inputs] == ["x0", "x1", "x0"]


def test_a_size_known_only_at_run_time_is_unknown():
    graph = graph_of(lambda x: x.masked_select(x > 0).sum() + x, (1, 4))
    (select,) = [op for op in graph.ops if op.name == "masked_select"]
    assert select.out.shape == (UNKNOWN,)
    assert (select.out.numel, select.out.bytes()) == (0, 0)


def test_bytes_on_a_phone():
    floats, integers, small = (24, 12), (24, 24), (6, 6)
    sizes = {"float32": floats, "float16": floats, "int64": integers, "int32": integers, "bool": small, "uint8": small}
    for dtype, expected in sizes.items():
        value = Value("x", (2, 3), dtype, "computed")
        assert (value.bytes(), value.bytes(2)) == expected


def test_a_real_network_is_read_whole():
    network = tiny(Denoiser)
    graph = read_graph(capture(network))
    assert [value.name for value in graph.inputs] == [spec.name for spec in network.signature().inputs]
    assert [value.shape for value in graph.outputs] == [network.signature().outputs[0].shape]
    assert {"conv2d", "linear", "scaled_dot_product_attention"} <= set(names(graph))
    assert sum(value.numel for value in graph.constants) >= sum(each.numel() for each in network.parameters())
    assert {op.place for op in graph.ops} >= {"blocks.0.attention", "blocks.1.feed_forward.expand"}


# --- magnitudes ---------------------------------------------------------------------------------------------


def test_magnitudes_are_those_of_a_run():
    x = torch.tensor([[1.0, -3.0, 2.0]])
    program = capture(construct(lambda x: (x * 10).exp().log() + torch.full((3,), -7.0), x))
    largest = measure_magnitudes(program)
    graph = read_graph(program, largest)
    assert graph.inputs[0].largest == 3
    assert [op.out.largest for op in graph.ops] == pytest.approx([30, torch.e**20, 30, 37])
    assert graph.constants[0].largest == 7


def test_what_is_infinite_or_not_a_number_counts_as_infinite():
    program = capture(construct(lambda x: (x - x).log() + F.relu(x) / 0 * 0, (1, 4)))
    largest = measure_magnitudes(program)
    assert sum(value == torch.inf for value in largest.values()) >= 3


def test_whole_numbers_have_no_magnitude():
    program = capture(construct(lambda x: (x * 100000).float(), torch.ones(1, 4, dtype=torch.int32)))
    assert set(measure_magnitudes(program).values()) == {100000.0}
