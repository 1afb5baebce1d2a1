"""A collapsed kernel does what its layers do one by one, borders and all."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mobigen.nn.collapse import BranchedConv, ExpandedConv, NormedBranches

channels = st.integers(1, 4)


def picture(channels):
    return torch.randn(2, channels, 5, 6, dtype=torch.float64)


def close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@given(channels, channels, st.sampled_from([1, 3, 5]))
def test_an_expanded_convolution_is_two_layers(inputs, outputs, kernel):
    block, x = ExpandedConv(inputs, outputs, kernel, hidden=7).double(), picture(inputs)
    close(block(x), block.second(block.first(x)))


@given(channels, st.sampled_from([1, 3, 5]))
def test_its_residual_is_the_input(width, kernel):
    block, x = ExpandedConv(width, width, kernel, hidden=7, residual=True).double(), picture(width)
    close(block(x), block.second(block.first(x)) + x)


@given(channels, channels)
def test_a_branched_convolution_is_a_sum(inputs, outputs):
    block, x = BranchedConv(inputs, outputs, hidden=5).double(), picture(inputs)
    nn.init.normal_(block.passed)
    branches = block.plain(x) + block.narrow(block.wide(x)) + block.point(x)
    if inputs == outputs:
        branches = branches + block.passed[None, :, 0] * x
    else:
        shared = min(inputs, outputs)
        branches[:, :shared] += block.passed[None, :shared, 0] * x[:, :shared]
    close(block(x), branches)


def test_a_branched_convolution_begins_near_the_identity_where_widths_agree():
    assert BranchedConv(3, 3, 5).passed.eq(1).all()
    assert BranchedConv(3, 4, 5).passed.eq(0).all()


@pytest.mark.parametrize(("kernel", "branches"), [(1, 2), (3, 8), (5, 10)])
def test_normed_branches_become_one_kernel(kernel, branches):
    block = NormedBranches(3, 4, kernel, gain=0.1).double()
    assert len(block.branches) == branches
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):  # as training might leave it
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    for _ in range(3):
        block(picture(3) * 2 + 1)
    x = picture(3)
    weight, bias = block.eval().collapse()
    assert weight.shape == (4, 3, kernel, kernel)
    close(F.conv2d(x, weight, bias, padding=kernel // 2), block(x))


@pytest.mark.parametrize("block", [ExpandedConv(2, 3, 3, hidden=4), BranchedConv(2, 3, hidden=4)])
def test_gradients_reach_every_layer(block):
    block(torch.randn(1, 2, 4, 4)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in block.parameters())


def test_kernels_are_collapsed_in_float32_under_autocast():
    block, kinds = BranchedConv(2, 3, hidden=4), []
    collapse = block.collapse
    block.collapse = lambda: kinds.append(collapse().weight.dtype) or collapse()
    with torch.autocast("cpu", torch.bfloat16):
        assert block(torch.randn(1, 2, 4, 4)).dtype == torch.bfloat16
    assert kinds == [torch.float32]
