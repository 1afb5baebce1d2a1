"""The plain network: how it begins, what it is deployed as, and what it costs."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mobigen.errors import ConfigError
from mobigen.models.plain_upscaler import PlainUpscaler, SubpixelConv, bilinear_kernel

every_kind = pytest.mark.parametrize(
    ("scale", "channels"), [(scale, channels) for scale in (2, 3, 4) for channels in (1, 3)]
)


@torch.no_grad()
@every_kind
def test_it_begins_as_bilinear_enlargement(scale, channels):
    network = PlainUpscaler(scale, width=8, depth=1, channels=channels).eval()
    image = torch.rand(1, channels, 12, 16)
    expected = F.interpolate(image, scale_factor=float(scale), mode="bilinear")
    inside = slice(scale, -scale)  # at borders zeros are seen
    torch.testing.assert_close(network(image)[..., inside, inside], expected[..., inside, inside])


@every_kind
def test_the_bilinear_kernel_keeps_brightness(scale, channels):
    kernel = bilinear_kernel(scale, channels)
    assert kernel.shape == (channels * scale**2, channels, 3, 3)
    torch.testing.assert_close(kernel.sum((1, 2, 3)), torch.ones(len(kernel)))
    by_colour = kernel.unflatten(0, (channels, -1)).abs().sum((1, 3, 4))
    assert torch.equal(by_colour, torch.diag(by_colour.diagonal()))


@torch.no_grad()
def test_it_begins_with_live_features_of_the_inputs_size():
    image = torch.rand(4, 3, 16, 16)
    features = PlainUpscaler(2, width=32, depth=12).eval().trunk(image)
    assert 0.05 < features.std() < 20
    assert (features.amax((0, 2, 3)) > 0).float().mean() > 0.4  # of the channels


@every_kind
def test_it_is_deployed_as_convolutions_of_whole_lanes(scale, channels):
    deployed = PlainUpscaler(scale, width=16, depth=2, channels=channels).fuse()
    convolutions = [module for module in deployed.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 4
    assert all(each.out_channels % 8 == 0 for each in convolutions if not isinstance(each, SubpixelConv))
    assert all(each.kernel_size == (3, 3) for each in convolutions)
    leaves = {type(module) for module in deployed.modules() if not list(module.children())}
    narrow = scale**2 * channels < 8
    assert leaves == {nn.Conv2d, nn.ReLU, *([SubpixelConv] if narrow else [])}


@torch.no_grad()
@given(st.integers(2, 4), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_four_pixels_at_once_are_a_convolution_and_a_shuffle(scale, channels, height, width, seed):
    torch.manual_seed(seed)
    conv, image = SubpixelConv(channels, scale), torch.randn(2, channels, height, width)
    expected = F.pixel_shuffle(F.conv2d(image, conv.weight, conv.bias, padding=1), scale)
    torch.testing.assert_close(conv(image), expected, rtol=1e-4, atol=1e-5)


def test_channels_that_are_not_offered():
    with pytest.raises(ConfigError, match="channels 4 is not offered; accepted: 1 for luma, 3 for RGB"):
        PlainUpscaler(2, channels=4)
