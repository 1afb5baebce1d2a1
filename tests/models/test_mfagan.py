"""The generator's skip and the discriminator's patches."""

import pytest
import torch
import torch.nn.functional as F

from mobigen.models.mfagan import AggregationGenerator, PatchDiscriminator


def test_the_generator_is_as_small_as_it_says():
    assert sum(parameter.numel() for parameter in AggregationGenerator(4).parameters()) == 215_568


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_without_a_residual_it_is_bilinear(scale):
    network, image = AggregationGenerator(scale, width=8, blocks=2), torch.rand(1, 3, 4, 5)
    for parameter in network.tail.parameters():
        torch.nn.init.zeros_(parameter)
    expected = F.interpolate(image, scale_factor=float(scale), mode="bilinear")
    torch.testing.assert_close(network(image), expected)


@torch.no_grad()
def test_a_logit_judges_its_own_surroundings():
    network = PatchDiscriminator(width=4, depth=2).eval()
    image = torch.rand(1, 3, 96, 96)
    changed = image.clone()
    changed[..., :8, :8] = 1 - changed[..., :8, :8]
    moved = (network(image) - network(changed)).abs()[0, 0] > 1e-6
    assert moved[0, 0]
    assert not moved[12:, 12:].any()
    assert moved.shape == (24, 24)
