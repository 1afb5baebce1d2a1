"""Weights on a grid of 8 bits take 8 bits on disk, and come back exactly."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny_networks import tiny
from torch import nn

from mobigen.models.denoiser import Denoiser
from mobigen.models.packing import on_grid, packed, read_weights
from mobigen.quantization.grid import snap_weights

shapes = st.sampled_from([(1, 5), (3, 40), (4, 1, 3, 3), (2, 8, 1, 1), (6, 2, 3, 3)])


def weight_of(shape, size, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * size


def snapped(weight):
    layer = nn.Linear(1, 1)
    layer.weight.data = weight.clone()
    snap_weights(layer)
    return layer.weight.detach()


@given(shapes, st.floats(1e-3, 30), st.integers(0, 2**31))
def test_what_is_on_the_grid_comes_back_exactly_from_8_bits(tmp_path_factory, shape, size, seed):
    weight = snapped(weight_of(shape, size, seed))
    stored = packed({"weight": weight, "bias": torch.ones(3)})
    assert {name: value.dtype for name, value in stored.items()} == {
        "weight": torch.int8, "weight_scale": torch.float32, "bias": torch.float32,
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("weights")
    save_file(stored, folder / "model.safetensors")
    again = read_weights(folder)
    assert set(again) == {"weight", "bias"}
    assert torch.equal(again["weight"], weight)


@given(shapes, st.floats(1e-3, 30), st.integers(0, 2**31))
def test_what_is_a_little_beside_the_grid_is_stored_as_it_is(shape, size, seed):
    weight = snapped(weight_of(shape, size, seed))
    weight.view(-1)[weight.abs().argmin()] += weight.abs().max() * 1e-4
    assert not on_grid(weight)
    assert packed({"weight": weight})["weight"] is weight


@pytest.mark.parametrize("weight", [torch.ones(8), torch.ones(8, 4), torch.ones(2, 9).half(), torch.ones(2, 9).int()])
def test_vectors_narrow_channels_and_other_types_are_left_alone(weight):
    assert not on_grid(weight)


def test_the_scale_of_a_file_may_be_in_another(tmp_path):
    save_file({"weight": torch.tensor([[3, -127]], dtype=torch.int8)}, tmp_path / "model-1.safetensors")
    save_file({"weight_scale": torch.tensor([[0.5]])}, tmp_path / "model-2.safetensors")
    assert torch.equal(read_weights(tmp_path)["weight"], torch.tensor([[1.5, -63.5]]))


def test_integers_that_have_lost_their_scale_are_no_weights(tmp_path):
    save_file({"final.weight": torch.ones(2, 9, dtype=torch.int8)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"final\.weight is in 8 bits, and there is no final\.weight_scale"):
        read_weights(tmp_path)


def test_a_folder_without_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no"):
        read_weights(tmp_path)


def test_a_snapped_component_takes_8_bits_for_its_layers_and_is_the_same_network(tmp_path):
    denoiser = tiny(Denoiser)
    snap_weights(denoiser)
    denoiser.save_component(tmp_path)
    stored = load_file(tmp_path / "denoiser" / "model.safetensors")
    qkv = "blocks.0.attention.qkv.weight"
    assert {stored[qkv].dtype, stored["final.weight"].dtype} == {torch.int8}
    assert {stored["position"].dtype, stored["embed.bias"].dtype} == {torch.float16}
    again = Denoiser.from_pretrained(tmp_path / "denoiser")
    assert torch.equal(again.get_parameter(qkv), denoiser.get_parameter(qkv))
    again.save_component(tmp_path, "again")
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (
        tmp_path / "denoiser" / "model.safetensors"
    ).read_bytes()
