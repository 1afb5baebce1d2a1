"""What holds for every network of super-resolution, at every scale."""

import pytest
import torch
from tiny_networks import examples, tiny
from tiny_super_resolution import GENERATORS
from torch import nn

from mobigen.errors import ConfigError
from mobigen.export.program import trace
from mobigen.models.network import load_network
from mobigen.models.sesr import SESR
from mobigen.models.syenet import SYENet
from mobigen.models.upscaler import SCALES
from mobigen.nn.collapse import CollapsibleConv

every_upscaler = pytest.mark.parametrize("kind", GENERATORS, ids=lambda kind: kind.__name__)
every_scale = pytest.mark.parametrize("scale", SCALES)


@torch.no_grad()
@every_upscaler
@every_scale
def test_the_picture_grows_by_the_scale(kind, scale):
    network = tiny(kind, scale=scale)
    (image,), (upscaled,) = network.signature().inputs, network.signature().outputs
    assert (image.name, upscaled.name) == ("image", "upscaled")
    assert image.shape == (1, network.channels, 12, 16)
    assert upscaled.shape == (1, network.channels, 12 * scale, 16 * scale)
    result = network(**examples(network))
    assert result.shape == upscaled.shape
    assert result.min() >= 0
    assert result.max() <= 1


@torch.no_grad()
@every_upscaler
@every_scale
def test_the_deployed_form_is_the_same_without_branches(kind, scale):
    network = tiny(kind, scale=scale)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_var.fill_(2.0)
            module.running_mean.fill_(0.1)
    deployed = network.fuse()
    assert not any(isinstance(module, CollapsibleConv) for module in deployed.modules())
    assert not deployed.training
    image = examples(network)["image"]
    torch.testing.assert_close(deployed(image), network(image), rtol=0, atol=1e-4)
    assert deployed.fuse() is deployed
    assert deployed.signature() == network.signature()


@torch.no_grad()
@every_upscaler
def test_the_deployed_form_comes_back_from_its_folder(kind, tmp_path):
    deployed = tiny(kind).fuse()
    deployed.save_pretrained(tmp_path)
    image = examples(deployed)["image"]
    assert torch.equal(load_network(tmp_path)(image), deployed(image))


@every_upscaler
def test_fusing_draws_no_random_numbers_and_leaves_the_network_as_it_is(kind):
    network = tiny(kind).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    network.fuse()
    assert torch.equal(torch.rand(2), expected)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@every_upscaler
def test_every_scale_can_be_exported(kind):
    for scale in SCALES:
        assert trace(tiny(kind, scale=scale).fuse()).graph.output_node()


def averaging(kind):
    """A network that only averages and adds: nothing is cut off, and every path carries something."""
    network = tiny(kind).double()
    with torch.no_grad():
        for module in network.modules():
            for name, parameter in module.named_parameters(recurse=False):
                fan_in = parameter[0].numel() if parameter.ndim == 4 else 1
                parameter.fill_(0.0 if name == "bias" else 1 / fan_in)
    return network


@torch.no_grad()
@every_upscaler
def test_pixels_within_reach_matter_and_others_do_not(kind):
    network = averaging(kind)
    if network.reach is None:
        pytest.skip("looks at all of the picture")
    size, middle = 2 * network.reach + 9, network.reach + 4
    size += -size % network.multiple
    ground = 0.501 if kind is SESR else 0.001  # just above what the network takes for nothing
    image = torch.full((1, network.channels, size, size), ground, dtype=torch.float64)
    before = network(image)

    def moves(distance):
        """Whether the middle pixel's results change with a column at that distance on either side."""
        changed = image.clone()
        changed[..., [middle - distance, middle + distance]] += 1e-3
        first, last = middle * network.scale, (middle + 1) * network.scale
        return not torch.equal(network(changed)[..., first:last, first:last], before[..., first:last, first:last])

    assert moves(network.reach)
    assert not moves(network.reach + 1)


@torch.no_grad()
@every_upscaler
def test_another_tile_shares_the_weights(kind):
    network = tiny(kind)
    other = network.at_tile(8, 20)
    assert other.signature().inputs[0].shape == (1, network.channels, 8, 20)
    assert network.signature().inputs[0].shape == (1, network.channels, 12, 16)
    assert next(other.parameters()) is next(network.parameters())
    assert other.fuse().signature() == other.signature()
    assert network.at_size(24).signature().inputs[0].shape[2:] == (24, 24)


@every_upscaler
@pytest.mark.parametrize("scale", [0, 1, 5])
def test_other_scales_are_refused(kind, scale):
    with pytest.raises(ConfigError, match=f"scale {scale} is not offered; accepted: 2, 3, 4"):
        kind(scale=scale)


@pytest.mark.parametrize("size", [(0, 8), (8, -2), (7, 8)])
def test_tiles_that_cannot_be_folded_are_refused(size):
    with pytest.raises(ConfigError, match="multiples of 2"):
        tiny(SYENet).at_tile(*size)
