"""The cutout model: what its deploy form computes, and what its decoder reads."""

import pytest
import torch
from tiny_networks import SIZES, examples, results, tiny

from mobigen.errors import ConfigError
from mobigen.models.network import load_network
from mobigen.models.segmenter import ClickDecoder, ClickLikeness, ImageEncoder
from mobigen.nn.mobile import RepConv

both = pytest.mark.parametrize("kind", [ImageEncoder, ClickDecoder])


def measured(kind):
    """A tiny network whose batch norms have seen something."""
    network = tiny(kind).train()
    inputs = [examples(network, seed) for seed in range(8)]
    with torch.no_grad():
        network(**{name: torch.cat([each[name] for each in inputs]) for name in inputs[0]})
    return network.eval()


@both
def test_the_deploy_form_computes_the_same(kind):
    network = measured(kind)
    deployed = network.fuse()
    assert deployed.signature() == network.signature()
    for mine, theirs in zip(results(deployed, examples(network)), results(network, examples(network)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    assert not [module for module in deployed.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert all(unit.conv is not None for unit in deployed.modules() if isinstance(unit, RepConv))


@both
def test_the_deploy_form_is_its_own_and_comes_back_from_its_folder(kind, tmp_path):
    deployed = measured(kind).fuse()
    assert deployed.fuse() is deployed
    deployed.save_pretrained(tmp_path)
    again = load_network(tmp_path)
    assert again.fused
    for mine, theirs in zip(results(again, examples(again)), results(deployed, examples(again)), strict=True):
        assert torch.equal(mine, theirs)


def test_the_encoder_reads_bytes_and_floats_alike():
    encoder, image = tiny(ImageEncoder), examples(tiny(ImageEncoder))["image"]
    for mine, theirs in zip(
        results(encoder, {"image": image}), results(encoder, {"image": image.float()}), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_the_decoder_takes_what_the_encoder_gives():
    encoder, decoder = tiny(ImageEncoder), tiny(ClickDecoder)
    given, taken = encoder.signature().outputs[:3], decoder.signature().inputs[:3]
    assert given == taken


def test_padding_is_not_read():
    decoder = tiny(ClickDecoder)
    inputs = examples(decoder)
    inputs["labels"][:, ::2] = -1
    hidden = inputs["labels"] == -1
    moved = {**inputs, "points": torch.where(hidden[..., None], inputs["points"] + 9, inputs["points"])}
    for mine, theirs in zip(results(decoder, moved), results(decoder, inputs), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_order_of_clicks_does_not_matter():
    decoder = tiny(ClickDecoder)
    inputs = examples(decoder)
    turned = {**inputs, "points": inputs["points"].flip(1), "labels": inputs["labels"].flip(1)}
    for mine, theirs in zip(results(decoder, turned), results(decoder, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("label", [0, 1, 2])
def test_every_kind_of_point_matters(label):
    decoder = tiny(ClickDecoder)
    inputs = examples(decoder)
    inputs["labels"] = torch.full_like(inputs["labels"], -1)
    before = results(decoder, inputs)[0]
    inputs["labels"][0, 0] = label
    inputs["labels"][0, 1] = 3 if label == 2 else -1
    inputs["points"][0, :2] = torch.tensor([[10.0, 12.0], [40.0, 50.0]])
    assert not torch.allclose(results(decoder, inputs)[0], before)


@both
def test_a_compiler_sees_one_graph_without_breaks(kind):
    network = tiny(kind)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    for seed in (0, 1):
        inputs = examples(network, seed)
        for mine, theirs in zip(results(compiled, inputs), results(network, inputs), strict=True):
            torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 100}, "100 is not a multiple of 32"),
        ({"widths": (4, 4)}, "7 stages; got 2 widths, 7 depths"),
        ({"depths": (1,)}, "7 stages; got 7 widths, 1 depths"),
    ],
)
def test_sizes_that_cannot_work(changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny(ImageEncoder, **changes)


@pytest.mark.parametrize("points", [5, 8])
def test_places_are_compared_with_the_click_that_they_are_most_like(points):
    torch.manual_seed(0)
    likeness = ClickLikeness(64, 3, 6)
    features, places = torch.randn(2, 3, 4, 4), torch.rand(2, points, 2) * 63
    labels = torch.tensor([[1, 1, 0, 2, 3, -1, 0, -1], [-1, 0, 0, 0, -1, -1, -1, -1]])[:, :points]
    found = likeness(features, places, labels)
    keys = torch.einsum("kc,bchw->bhwk", likeness.key.weight[:, :, 0, 0], features) + likeness.key.bias
    keys = keys / (keys.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    rows, columns = torch.meshgrid(torch.arange(4) + 0.5, torch.arange(4) + 0.5, indexing="ij")
    for picture in range(2):
        wanted = torch.zeros(4, 4, 4)
        for place, label in zip((places[picture] + 0.5) / 16, labels[picture].tolist(), strict=True):
            squared = (columns - place[0]).square() + (rows - place[1]).square()
            here = torch.exp(-squared / 2)
            clicked = (here[..., None] * keys[picture]).sum((0, 1)) / (here.sum() + 1e-2)
            like = 1 + (keys[picture] * clicked).mean(-1)
            for offset, value in ((0, like), (2, like * torch.exp(-squared / 32))):
                if label in (0, 1):
                    wanted[1 - label + offset] = torch.maximum(wanted[1 - label + offset], value)
        torch.testing.assert_close(found[picture], wanted, rtol=1e-4, atol=1e-5)


@both
def test_what_was_added_last_is_silent_at_first(kind):
    """New networks begin without the features at 1/2, and learn to add them."""
    network = kind(**SIZES[kind]).eval()
    last = network.finer[-1]
    assert not last.weight.any()
    assert not last.bias.any()
