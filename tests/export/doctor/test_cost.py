"""Multiply-accumulates against formulas by hand."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from one_construct import construct  # noqa: E402
from torch import nn  # noqa: E402

from mobigen.export.doctor.cost import total_macs  # noqa: E402
from mobigen.export.doctor.graph import read_graph  # noqa: E402
from mobigen.export.program import capture  # noqa: E402


def macs(function, *inputs, modules=()):
    return total_macs(read_graph(capture(construct(function, *inputs, modules=modules))))


def call(module, x):
    return module(x)


@pytest.mark.filterwarnings("ignore:The tensor attributes")  # of torch, about its own recurrent cells
@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Conv2d(8, 16, 3, padding=1), (1, 8, 10, 12), 10 * 12 * 16 * 8 * 9),
        (nn.Conv2d(8, 16, 3, stride=2, padding=1), (1, 8, 10, 12), 5 * 6 * 16 * 8 * 9),
        (nn.Conv2d(8, 8, (1, 5), groups=8), (2, 8, 10, 12), 2 * 10 * 8 * 8 * 5),
        (nn.Conv1d(8, 16, 3), (1, 8, 12), 10 * 16 * 8 * 3),
        (nn.Conv3d(4, 8, 3), (1, 4, 5, 6, 7), 3 * 4 * 5 * 8 * 4 * 27),
        (nn.ConvTranspose2d(8, 4, 4, 2, 1), (1, 8, 6, 6), 6 * 6 * 8 * 4 * 16),
        (nn.Linear(32, 16), (1, 24, 32), 24 * 32 * 16),
        (nn.LSTM(32, 16, batch_first=True), (2, 24, 32), 2 * 24 * 4 * 16 * (32 + 16)),
        (nn.GRU(32, 16, num_layers=2, batch_first=True), (1, 24, 32), 24 * 3 * 16 * (32 + 16 + 16 + 16)),
        (nn.Sequential(nn.ReLU(), nn.LayerNorm(32), nn.Softmax(-1)), (1, 24, 32), 0),
    ],
)
def test_a_layer(module, shape, expected):
    if isinstance(module, nn.RNNBase):
        assert macs(lambda cell, x: cell(x)[0], shape, modules=[module]) == expected
    else:
        assert macs(call, shape, modules=[module]) == expected


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (torch.matmul, [(1, 4, 24, 16), (1, 4, 16, 8)], 4 * 24 * 16 * 8),
        (torch.bmm, [(2, 24, 16), (2, 16, 8)], 2 * 24 * 16 * 8),
        (torch.mm, [(24, 16), (16, 8)], 24 * 16 * 8),
        (torch.addmm, [(24, 8), (24, 16), (16, 8)], 24 * 16 * 8),
        (torch.baddbmm, [(2, 24, 8), (2, 24, 16), (2, 16, 8)], 2 * 24 * 16 * 8),
        (lambda x, y: torch.einsum("bnc, bmc -> bnm", x, y), [(2, 24, 16), (2, 8, 16)], 2 * 24 * 8 * 16),
        (F.scaled_dot_product_attention, [(1, 4, 24, 16), (1, 4, 9, 16), (1, 4, 9, 20)], 4 * 24 * 9 * (16 + 20)),
    ],
)
def test_a_product(function, shapes, expected):
    assert macs(function, *shapes) == expected
