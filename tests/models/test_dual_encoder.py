"""Unit vectors of pictures and captions."""

import torch
from tiny_networks import TOKENS, examples, tiny

from mobigen.models.dual_encoder import DualEncoder


@torch.no_grad()
def test_vectors_have_unit_length():
    network = tiny(DualEncoder)
    for vector in network(**examples(network)):
        torch.testing.assert_close(vector.norm(dim=-1), torch.ones(1))


@torch.no_grad()
def test_larger_pictures_are_averaged_down():
    network = tiny(DualEncoder)
    small = torch.rand(1, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    large = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(network.embed_image(large), network.embed_image(small))


@torch.no_grad()
def test_masked_words_are_not_read():
    network = tiny(DualEncoder)
    states, mask = torch.randn(1, TOKENS, 16), torch.tensor([[1.0] * 3 + [0.0] * (TOKENS - 3)])
    other = states.clone()
    other[:, 3:] = 7
    assert torch.equal(network.embed_text(states, mask), network.embed_text(other, mask))
    assert torch.isfinite(network.embed_text(states, torch.zeros(1, TOKENS))).all()
