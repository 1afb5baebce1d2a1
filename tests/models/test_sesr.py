"""SESR against its paper: weights at every size, and the network written out layer by layer."""

import pytest
import torch
import torch.nn.functional as F
from tiny_networks import examples, tiny

from mobigen.models.sesr import SESR, SIZES

WEIGHTS = {  # of the collapsed convolutions, biases and slopes not counted
    2: {"M3": 8_912, "M5": 13_520, "M7": 18_128, "M11": 27_344, "XL": 105_376},
    4: {"M3": 13_712, "M5": 18_320, "M7": 22_928, "M11": 32_144, "XL": 114_976},
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", WEIGHTS)
def test_weights_are_as_many_as_published(size, scale):
    deployed = SESR(scale, *SIZES[size], fused=True)
    assert sum(parameter.numel() for parameter in deployed.parameters() if parameter.ndim == 4) == WEIGHTS[scale][size]


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_it_is_the_expanded_network_of_the_paper(scale):
    network = tiny(SESR, scale=scale)
    centred = examples(network)["image"] - 0.5

    def block(layer, x, residual=False):
        return layer.second(layer.first(x)) + (x if residual else 0)

    features = first = F.prelu(block(network.head[0], centred), network.head[1].weight)
    for layer, slope in network.trunk:
        features = F.prelu(block(layer, features, residual=True), slope.weight)
    pixels = block(network.tail, features + first) + centred
    expected = (F.pixel_shuffle(pixels, scale) + 0.5).clamp(0, 1)
    torch.testing.assert_close(network(centred + 0.5), expected, rtol=1e-4, atol=1e-5)
