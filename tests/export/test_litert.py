"""Every component becomes the same network in LiteRT, under the names of its signature, without a word."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

import tiny_bundle as tiny  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402

from mobigen.errors import ExportError  # noqa: E402
from mobigen.export.litert import convert  # noqa: E402
from mobigen.export.parity import compare  # noqa: E402
from mobigen.runtime.litert import LiteRTComponent  # noqa: E402
from mobigen.runtime.torch import TorchComponent  # noqa: E402


@pytest.fixture(scope="module")
def networks():
    return {network.component: network for network in tiny.tiny_networks()}


def test_the_tiny_networks_are_all_there_are(networks):
    assert set(networks) == set(tiny.JOINED["components"])


@pytest.mark.parametrize("component", tiny.JOINED["components"])
def test_a_graph_follows_its_network_on_random_inputs(component, networks, exported_bundle):
    network, signature = networks[component], networks[component].signature()
    generator = torch.Generator().manual_seed(5)
    samples = [{name: tensor.numpy() for name, tensor in network.example_inputs(generator).items()} for _ in range(4)]
    graph = LiteRTComponent(exported_bundle / "litert" / f"{component}.tflite", signature, threads=1)
    decibels = compare(TorchComponent(network, signature), graph, samples)
    assert set(decibels) == {spec.name for spec in signature.outputs}
    assert min(decibels.values()) > 80


@pytest.mark.parametrize("component", tiny.JOINED["components"])
def test_a_graph_has_the_signatures_names(component, networks, exported_bundle):
    graph = Interpreter(str(exported_bundle / "litert" / f"{component}.tflite"))
    ((_, names),) = graph.get_signature_list().items()
    signature = networks[component].signature()
    assert set(names["inputs"]) == {spec.name for spec in signature.inputs}
    assert set(names["outputs"]) == {spec.name for spec in signature.outputs}


def test_conversion_is_silent(networks, tmp_path, capfd):
    convert(networks["decoder"], tmp_path / "decoder.tflite")
    print("after")
    assert capfd.readouterr() == ("after\n", "")


def test_a_network_that_cannot_be_converted_is_named(networks, tmp_path):
    class Spectrum(type(networks["decoder"])):
        def forward(self, latent):
            return torch.fft.ifft2(torch.fft.fft2(super().forward(latent))).real

    network = Spectrum(image_size=64, latent_channels=4, widths=(8, 8, 8), depth=1, head_width=4).eval()
    with pytest.raises(ExportError, match="decoder cannot be converted to LiteRT"):
        convert(network, tmp_path / "decoder.tflite")


def test_a_changed_weight_is_seen(networks, exported_bundle):
    network, signature = networks["denoiser"], networks["denoiser"].signature()
    inputs = network.example_inputs(torch.Generator().manual_seed(6))
    samples = [{name: tensor.numpy() for name, tensor in inputs.items()}]
    graph = LiteRTComponent(exported_bundle / "litert" / "denoiser.tflite", signature, threads=1)
    weight = network.blocks[0].feed_forward.depthwise.weight.data
    kept = weight[3, 0, 1, 1].clone()
    weight[3, 0, 1, 1] += 1.0
    try:
        changed = compare(TorchComponent(network, signature), graph, samples)["velocity"]
    finally:
        weight[3, 0, 1, 1] = kept
    assert changed < 60 < compare(TorchComponent(network, signature), graph, samples)["velocity"]
    assert np.isfinite(changed)
