"""The trunk with drawn weights: it computes what the folded convolutions do, before and after it is measured."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tiny_networks import tiny

from mobigen.errors import WeightsError
from mobigen.models.segmenter import ImageEncoder, Trunk
from mobigen.nn.mobile import RepConv
from mobigen.train.pretrained import load_mobilenet_v2

SHAPE = {"stem": 4, "widths": (4, 4, 6, 6, 8, 8, 8), "depths": (1,) * 7, "expansion": 2}


@pytest.fixture
def drawn():
    """A folded trunk with random weights."""
    torch.manual_seed(0)
    trunk = Trunk(**SHAPE, fused=True)
    for parameter in trunk.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return trunk


def convolutions(trunk):
    return [module.conv for module in trunk.modules() if isinstance(module, RepConv)]


@pytest.fixture
def file(drawn, tmp_path):
    """Its convolutions as the public conversion names them, and one more that is not the trunk's."""
    weights = {}
    for index, conv in enumerate([*convolutions(drawn), torch.nn.Conv2d(8, 20, 1)]):
        weights[f"layer{index:02d}.conv0.weight"] = conv.weight.detach().half()
        weights[f"layer{index:02d}.conv0.bias"] = conv.bias.detach().half()
    save_file(weights, tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def pictures(seed, count=4):
    return torch.rand(count, 64, 64, 3, generator=torch.Generator().manual_seed(seed)) * 255


def features(trunk, images):
    mean, deviation = tiny(ImageEncoder).mean, tiny(ImageEncoder).deviation
    with torch.no_grad():
        return trunk(((images - mean) / deviation).permute(0, 3, 1, 2))


def test_the_trunk_computes_what_the_file_does(drawn, file):
    for conv in convolutions(drawn):
        conv.weight.data, conv.bias.data = conv.weight.data.half().float(), conv.bias.data.half().float()
    encoder = tiny(ImageEncoder)
    load_mobilenet_v2(encoder, file, [pictures(0)])
    for mine, theirs in zip(features(encoder.trunk, pictures(1)), features(drawn, pictures(1)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def test_in_training_it_begins_with_the_same_features(drawn, file):
    """Since what batch norm measures on these pictures is what it was given."""
    encoder = tiny(ImageEncoder)
    load_mobilenet_v2(encoder, file, [pictures(0, 16)])
    encoder.trunk.train()
    for mine, theirs in zip(features(encoder.trunk, pictures(0, 16)), features(drawn, pictures(0, 16)), strict=True):
        assert F.mse_loss(mine, theirs) < 1e-3 * theirs.square().mean()


def test_an_encoder_in_training_stays_so(file):
    encoder = tiny(ImageEncoder).train()
    load_mobilenet_v2(encoder, file, [pictures(0)])
    assert encoder.training
    assert not any(module._forward_hooks for module in encoder.modules())


def test_a_file_that_is_missing_or_of_another_network(file, tmp_path):
    with pytest.raises(WeightsError, match="no MobileNetV2 features in"):
        load_mobilenet_v2(tiny(ImageEncoder), tmp_path / "none.safetensors", [pictures(0)])
    with pytest.raises(WeightsError, match=r"has a convolution \(4, 3, 3, 3\), the trunk \(6, 3, 3, 3\)"):
        load_mobilenet_v2(tiny(ImageEncoder, stem=6), file, [pictures(0)])
    with pytest.raises(WeightsError, match="the trunk needs"):
        load_mobilenet_v2(tiny(ImageEncoder, depths=(1, 2, 2, 2, 2, 2, 2)), file, [pictures(0)])
