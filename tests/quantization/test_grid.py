"""Weights on the grid of their 8-bit form."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import examples, results, tiny
from torch import nn

from mobigen.models.denoiser import Denoiser
from mobigen.models.segmenter import ClickDecoder
from mobigen.quantization.grid import snap_weights


def rounded(weight):
    """By hand: every row in 127 steps from zero to its largest; a step leaves out the last 8 bits of a float32."""
    flat = weight.flatten(1)
    step = flat.abs().amax(1, keepdim=True).clamp(min=1e-9) / 127
    bits = step.view(torch.int32)
    step = ((bits + 127 + (bits >> 8) % 2) & ~255).view(torch.float32)  # halves to even
    return ((flat / step).round() * step).reshape(weight.shape)


@given(st.integers(1, 5), st.integers(1, 40), st.floats(1e-3, 30), st.integers(0, 2**31))
def test_snapping_again_changes_nothing_and_finds_the_same_integers_after_float16(rows, columns, size, seed):
    layer = nn.Linear(columns, rows)
    layer.weight.data = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * size
    snap_weights(layer)
    snapped = layer.weight.detach().clone()
    snap_weights(layer)
    assert torch.equal(layer.weight, snapped)
    step = snapped.abs().amax(1, keepdim=True) / 127
    saved = snapped.half().float()
    found = saved.abs().amax(1, keepdim=True) / 127
    assert torch.equal((saved / found).round(), (snapped / step).round())


@pytest.mark.parametrize("kind", [Denoiser, ClickDecoder])
def test_all_layers_of_a_network_are_snapped_and_nothing_else(kind):
    network, before = tiny(kind), tiny(kind)
    snap_weights(network)
    weights = {f"{name}.weight" for name, each in network.named_modules() if isinstance(each, nn.Linear | nn.Conv2d)}
    for (name, weight), old in zip(network.named_parameters(), before.parameters(), strict=True):
        snapped = name in weights or name.endswith("depthwise.weight")
        torch.testing.assert_close(weight, rounded(old) if snapped else old, rtol=1e-6, atol=1e-7)
    for new, old in zip(results(network, examples(network)), results(before, examples(before)), strict=True):
        torch.testing.assert_close(new, old, rtol=0.1, atol=0.1)
