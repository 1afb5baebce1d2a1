"""SYENet against its paper."""

import pytest
import torch

from mobigen.models.syenet import SYENet


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameters_of_the_folded_form_are_as_many_as_published():
    assert count(SYENet(2).fuse()) == 8_035


def test_training_takes_many_more():
    assert count(SYENet(2)) > 20 * 8_035


@torch.no_grad()
def test_a_product_unit_is_quadratic():
    head = SYENet(2).eval().head
    x = torch.randn(1, 3, 6, 6)
    unit = 0.1 * head.first(x) * (head.second(x) / 0.1) + head.bias
    torch.testing.assert_close(head(x), unit)
    assert head.bias.std() > 0.4  # drawn from N(0, 1)


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_flat_picture_without_residual_stays_flat(scale):
    network = SYENet(scale).eval()
    for parameter in network.tail[1].merge.parameters():
        torch.nn.init.zeros_(parameter)
    grey = network(torch.full((1, 3, 8, 8), 0.3))
    torch.testing.assert_close(grey, torch.full((1, 3, 8 * scale, 8 * scale), 0.3))
