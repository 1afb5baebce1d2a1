"""Activation memory against counts by hand."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from one_construct import construct  # noqa: E402

from mobigen.export.doctor.graph import UNKNOWN, Graph, Op, Value, read_graph  # noqa: E402
from mobigen.export.doctor.memory import find_peak, in_rows, padding  # noqa: E402
from mobigen.export.program import capture  # noqa: E402

KB = 1024


def graph_of(function, *inputs):
    return read_graph(capture(construct(function, *inputs)))


def peak_of(function, *inputs):
    peak = find_peak(graph_of(function, *inputs), Value.bytes)
    return peak.bytes, peak.op.name if peak.op else None


def test_a_chain_needs_an_input_and_an_output_at_a_time():
    assert peak_of(lambda x: x.exp().sin().cos(), (1, KB)) == (2 * 4 * KB, "exp")


def test_a_branch_stays_alive_until_it_is_joined():
    def function(x):
        a = x.exp()  # x 4, a 4 kB
        b = torch.cat([a, a])  # x 4, a 4, b 8
        c = b.sin()  # x 4, b 8, c 8
        return c[:1] + x  # less

    assert peak_of(function, (1, KB)) == (20 * KB, "sin")


def test_an_output_stays_alive_until_the_end():
    def function(x):
        early = x.exp()
        return early, torch.cat([x, x, x]).sum()

    assert peak_of(function, (1, KB)) == ((4 + 4 + 12) * KB, "cat")


def test_a_reshape_shares_its_inputs_memory_and_a_transpose_does_not():
    assert peak_of(lambda x: x.exp().reshape(32, 32).flatten().sin(), (1, KB))[0] == 8 * KB
    assert peak_of(lambda x: x.reshape(4, 256).t().sin(), (1, KB))[0] == 8 * KB
    assert peak_of(lambda x: x.reshape(4, 256).t() + x.reshape(256, 4), (1, KB))[0] == 12 * KB


def test_weights_do_not_count():
    assert peak_of(lambda x: x + torch.ones(64, KB), (1, KB)) == ((4 + 256) * KB, "add")


def test_attention_needs_its_scores_twice():
    queries, others = (1, 2, 16, 8), (1, 2, 32, 8)
    expected = 4 * (2 * 16 * 8 + 2 * 2 * 32 * 8 + 2 * 16 * 8 + 2 * (2 * 16 * 32))
    found = peak_of(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), queries, others, others)
    assert found == (expected, "scaled_dot_product_attention")


def test_a_graph_that_does_nothing_needs_its_inputs():
    assert peak_of(lambda x: x.clone(), (1, KB)) == (4 * KB, None)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_the_peak_of_a_chain_is_its_largest_pair_of_neighbours(factors):
    sizes = [1]
    values = [Value("x", (1, 16), "float32", "input")]
    for factor in factors:
        sizes.append(factor)
        values.append(Value("y", (factor, 16), "float32", "computed"))
    graph = chain(values)
    assert find_peak(graph, Value.bytes).bytes == 64 * max(a + b for a, b in pairwise(sizes))


def chain(values):
    """Each value made of the one before it."""
    ops = [Op("exp", "", (before,), (after,), (None,), frozenset({"exp"}), {}) for before, after in pairwise(values)]
    return Graph((values[0],), (values[-1],), (), tuple(ops))


# --- rows of the Neural Engine ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((1, 256, 1), "float32", 256 * 64),
        ((1, 256, 32), "float32", 256 * 64),
        ((1, 256, 33), "float32", 256 * 128),
        ((7,), "float32", 64),
        ((), "float32", 64),
        ((1, 24), "int32", 128),
        ((1, 24), "bool", 64),
        ((UNKNOWN, 8), "float32", 0),
    ],
)
def test_rows_are_padded_to_64_bytes(shape, dtype, expected):
    assert in_rows(Value("x", shape, dtype, "computed")) == expected


def test_padding_is_over_all_activations():
    graph = graph_of(lambda x: x.mean(-1, keepdim=True), (1, 64, 32))
    assert padding(graph) == pytest.approx((64 * 64 + 64 * 64) / (64 * 64 + 64 * 2))
    assert padding(graph_of(torch.exp, (1, 64, 32))) == 1
