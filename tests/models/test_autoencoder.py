"""Latents of unit variance, and decoders whose maps can be compared."""

import pytest
import torch
from tiny_networks import examples, tiny

from mobigen.errors import ConfigError
from mobigen.models.autoencoder import Decoder, Encoder, TeacherDecoder


def test_a_training_encoder_gives_every_channel_unit_variance():
    encoder = tiny(Encoder).train()
    latent = encoder(torch.rand(8, 4, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    torch.testing.assert_close(latent.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(latent.var((0, 2, 3), unbiased=False), torch.ones(4), rtol=0, atol=1e-2)


def test_an_evaluating_encoder_uses_what_it_measured():
    encoder = tiny(Encoder)
    encoder.normalise.running_mean.fill_(2.0)
    encoder.normalise.running_var.fill_(9.0)
    image = examples(encoder)["image"]
    torch.testing.assert_close(encoder(image), (encoder.trunk(image) - 2) / (9 + encoder.normalise.eps) ** 0.5)


@pytest.mark.parametrize("kind", [TeacherDecoder, Decoder])
def test_a_decoder_has_maps_at_three_levels(kind):
    decoder = tiny(kind)
    maps = decoder.features(examples(decoder)["latent"])
    assert [tuple(each.shape) for each in maps] == [
        (1, width, size, size) for width, size in zip(decoder.widths, (4, 8, 16), strict=True)
    ]


def test_the_decoder_that_ships_is_convolutions_relu_and_shuffles():
    kinds = {type(module).__name__ for module in Decoder().modules() if not list(module.children())}
    assert kinds == {"Conv2d", "ReLU", "PixelShuffle"}


def test_a_decoder_of_another_size_is_the_same_network():
    decoder = tiny(Decoder)
    other = decoder.at_size(96)
    assert [id(each) for each in other.parameters()] == [id(each) for each in decoder.parameters()]
    assert (decoder.image_size, other.image_size) == (64, 96)
    latent = examples(other)["latent"]
    assert torch.equal(other(latent), decoder(latent))
    for network in (decoder, other):
        (image,) = network.signature().outputs
        assert network(examples(network)["latent"]).shape == image.shape
    assert not other.training


def test_a_decoder_of_another_size_is_saved_as_such(tmp_path):
    tiny(Decoder).at_size(96).save_pretrained(tmp_path)
    assert Decoder.from_pretrained(tmp_path).image_size == 96


@pytest.mark.parametrize("size", [0, -16, 100])
def test_a_size_that_latents_do_not_have_is_refused(size):
    with pytest.raises(ConfigError, match=f"decoder has no size {size}; accepted: multiples of 16"):
        tiny(Decoder).at_size(size)
