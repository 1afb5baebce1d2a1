"""Branches collapse into one convolution that does the same."""

import pytest
import torch
from torch import nn

from mobigen.nn.mobile import RepConv, UniversalBottleneck, collapsed_state


def trained(module, dim, size=9):
    """With random weights and statistics, in evaluation mode."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    module.train()(torch.randn(8, dim, size, size) * 2 + 1)
    return module.eval()


SHAPES = {  # dim, out, kernel, stride, groups
    "pointwise": (6, 8, 1, 1, 1),
    "pointwise with a skip": (6, 6, 1, 1, 1),
    "depthwise": (6, 6, 3, 1, 6),
    "depthwise of 5": (6, 6, 5, 1, 6),
    "depthwise with a stride": (6, 6, 3, 2, 6),
    "grouped": (6, 6, 3, 1, 2),
    "full": (6, 6, 3, 1, 1),
}


@pytest.mark.parametrize("branches", [True, False])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_one_convolution_does_what_the_branches_do(shape, branches):
    unit = trained(RepConv(*shape, branches=branches), shape[0])
    fused = RepConv(*shape, fused=True).eval()
    fused.load_state_dict(
        {f"conv.{name}": value for name, value in zip(("weight", "bias"), unit.collapsed(), strict=True)}
    )
    x = torch.randn(2, shape[0], 9, 9)
    torch.testing.assert_close(fused(x), unit(x), rtol=1e-4, atol=1e-5)
    assert len(list(fused.parameters())) == 2
    assert torch.equal(fused.collapsed()[0], fused.conv.weight)


def test_added_branches_begin_at_nothing():
    unit = RepConv(6, 6, 3, groups=6, active=False).eval()
    x = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(unit(x), unit.main(x))
    assert RepConv(6, 6, 3, branches=False).scale is None


@pytest.mark.parametrize(
    ("options", "kernels"),
    [
        ({}, [1, 3, 1]),
        ({"start": 5, "middle": 0}, [5, 1, 1]),
        ({"start": 3, "middle": 5}, [3, 1, 5, 1]),
        ({"start": 0, "middle": 0}, [1, 1]),
        ({"expansion": 1}, [3, 1]),
    ],
)
def test_a_bottleneck_is_made_of_what_is_asked_for(options, kernels):
    block = UniversalBottleneck(6, 6, **options)
    assert [layer.kernel for layer in block.layers] == kernels
    assert block.residual


def test_only_what_keeps_its_size_is_added_to_its_input():
    x = torch.randn(1, 6, 8, 8)
    assert UniversalBottleneck(6, 8)(x).shape == (1, 8, 8, 8)
    assert UniversalBottleneck(6, 6, stride=2)(x).shape == (1, 6, 4, 4)
    assert not UniversalBottleneck(6, 8).residual


def test_a_network_collapses_as_a_whole():
    network = trained(nn.Sequential(UniversalBottleneck(6, 6, 3, 5), nn.Conv2d(6, 2, 1)), 6)
    fused = nn.Sequential(UniversalBottleneck(6, 6, 3, 5, fused=True), nn.Conv2d(6, 2, 1)).eval()
    fused.load_state_dict(collapsed_state(network))
    x = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(fused(x), network(x), rtol=1e-4, atol=1e-5)
