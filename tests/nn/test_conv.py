"""Convolution blocks: both forms of the depthwise one, and the blocks from their formulas."""

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from mobigen.nn.conv import DepthwiseConv3x3, GatedDepthwiseFeedForward, PlainResidualBlock, ResidualBlock


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7), st.integers(1, 5), st.integers(0, 2**31))
def test_nine_shifts_are_the_convolution(batch, height, width, dim, seed):
    layer = DepthwiseConv3x3(dim)
    torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(seed))
    x = normal(batch, height, width, dim, seed=seed)
    torch.testing.assert_close(layer.train()(x), layer.eval()(x), rtol=1e-4, atol=1e-5)


def test_depthwise_convolution_by_hand():
    """A one in the middle spreads the kernel, turned by half a circle, over its neighbours."""
    layer = DepthwiseConv3x3(1)
    torch.nn.init.constant_(layer.bias, 0.5)
    x = torch.zeros(1, 3, 3, 1)
    x[0, 1, 1, 0] = 1
    expected = layer.weight[0, 0].flip(0, 1) + 0.5
    for form in (layer.train(), layer.eval()):
        torch.testing.assert_close(form(x)[0, :, :, 0], expected)


def test_both_forms_have_the_same_gradients():
    layer, x = DepthwiseConv3x3(4), normal(2, 5, 6, 4).requires_grad_()
    gradients = []
    for form in (layer.train(), layer.eval()):
        gradients.append(torch.autograd.grad(form(x).square().sum(), [x, layer.weight, layer.bias]))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


def test_gated_feed_forward_is_its_formula():
    block, x = GatedDepthwiseFeedForward(4, 1.5).eval(), normal(2, 6, 4)
    hidden = F.silu(x @ block.expand.weight.T + block.expand.bias).reshape(2, 2, 3, 12).permute(0, 3, 1, 2)
    depthwise = block.depthwise
    mixed = F.conv2d(hidden, depthwise.weight, depthwise.bias, padding=1, groups=12).flatten(2).transpose(1, 2)
    expected = (mixed[..., :6] * F.silu(mixed[..., 6:])) @ block.reduce.weight.T
    torch.testing.assert_close(block(x, (2, 3)), expected, rtol=1e-4, atol=1e-5)


def test_residual_block_begins_as_the_identity_up_to_a_bias():
    block, x = ResidualBlock(4), normal(1, 4, 5, 5)
    torch.testing.assert_close(block(x), x + block.second.bias[None, :, None, None])


def test_plain_residual_block_is_its_formula():
    block, x = PlainResidualBlock(4), normal(1, 4, 5, 5)
    inner = F.conv2d(x, block.first.weight, block.first.bias, padding=1).clamp(min=0)
    outer = x + F.conv2d(inner, block.second.weight, block.second.bias, padding=1)
    torch.testing.assert_close(block(x), outer.clamp(min=0))
