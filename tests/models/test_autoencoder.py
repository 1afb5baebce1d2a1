"""Latents of unit variance, and decoders whose maps can be compared."""

import pytest
import torch
from tiny_networks import examples, tiny

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
