"""The torch backend on the tiny weights."""

import shutil

import numpy as np
import pytest

from mobigen.bundle import load_bundle
from mobigen.errors import InputError, WeightsError
from mobigen.runtime import load_component
from mobigen.runtime.torch import find_weights

torch = pytest.importorskip("torch")

from mobigen.models.network import load_network  # noqa: E402


@pytest.fixture
def bundle(exported_bundle):
    return load_bundle(exported_bundle)


@pytest.mark.parametrize("name", ["text_encoder", "denoiser", "decoder"])
def test_every_component_agrees_with_litert(bundle, tiny_weights, name):
    example = load_network(tiny_weights / name).example_inputs(torch.Generator().manual_seed(1))
    inputs = {key: value.numpy() for key, value in example.items()}
    by_torch = load_component(bundle, name, "torch", weights=tiny_weights)(**inputs)
    by_litert = load_component(bundle, name, "litert")(**inputs)
    assert list(by_torch) == list(by_litert)
    for key, value in by_torch.items():
        np.testing.assert_allclose(value, by_litert[key], atol=1e-4 * max(1, np.abs(value).max()))


def test_inputs_are_checked(bundle, tiny_weights):
    decoder = load_component(bundle, "decoder", "torch", weights=tiny_weights)
    with pytest.raises(InputError, match="latent is float64"):
        decoder(latent=np.zeros((1, 4, 4, 4)))


def test_weights_are_found_by_the_environment(tiny_weights, tmp_path, monkeypatch):
    shutil.copytree(tiny_weights, tmp_path / "sticker")
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tmp_path))
    assert find_weights("sticker", "denoiser") == tmp_path / "sticker" / "denoiser"


def test_missing_weights_say_where_they_were_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=str(tmp_path / "no-model")):
        find_weights("no-model", "denoiser")


def test_damaged_weights_are_refused(tiny_weights, tmp_path):
    folder = shutil.copytree(tiny_weights / "decoder", tmp_path / "decoder")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(WeightsError):
        load_network(folder)


def test_weights_of_another_size_are_refused(bundle, tiny_weights, tmp_path):
    from mobigen.models.autoencoder import Decoder

    Decoder(image_size=32, latent_channels=4, widths=(8, 8, 8), depth=1, head_width=4).save_pretrained(
        tmp_path / "decoder"
    )
    with pytest.raises(WeightsError, match=r"the weights of decoder take latent float32 \(1, 4, 2, 2\)"):
        load_component(bundle, "decoder", "torch", weights=tmp_path)
