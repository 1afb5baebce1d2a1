"""XLSR against its paper."""

import torch

from mobigen.models.xlsr import XLSR


def test_parameters_are_as_many_as_published():
    assert sum(parameter.numel() for parameter in XLSR(3).parameters()) == 21_947


def test_four_narrow_convolutions_side_by_side_are_the_first():
    network = XLSR(3).eval()
    image, first = torch.rand(1, 3, 6, 7), network.head[0]
    narrow = [
        torch.relu(torch.nn.functional.conv2d(image, weight, bias, padding=1))
        for weight, bias in zip(first.weight.split(8), first.bias.split(8), strict=True)
    ]
    torch.testing.assert_close(network.head[:2](image), torch.cat(narrow, dim=1))


def test_it_begins_as_in_section_3_3():
    for module in XLSR(3).modules():
        if isinstance(module, torch.nn.Conv2d):
            assert module.bias.eq(0.01).all()
            fan_out = module.out_channels // module.groups * module.kernel_size[0] ** 2
            assert module.weight.std() / (0.2 / fan_out) ** 0.5 < 1.2
