"""ABPN against its paper."""

import pytest
import torch
import torch.nn.functional as F

from mobigen.models.abpn import ABPN


def test_parameters_are_as_many_as_published():
    assert sum(parameter.numel() for parameter in ABPN(3).parameters()) == 42_539


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_without_a_residual_it_repeats_pixels(scale):
    network, image = ABPN(scale), torch.rand(1, 3, 4, 5)
    for parameter in network.trunk[-1].parameters():
        torch.nn.init.zeros_(parameter)
    assert torch.equal(network(image), F.interpolate(image, scale_factor=float(scale), mode="nearest"))
