"""Every component becomes the same network in LiteRT, under the names of its signature, without a word."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

import tiny_bundle as tiny  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402

from mobigen.errors import ExportError  # noqa: E402
from mobigen.export.litert import convert  # noqa: E402
from mobigen.export.parity import compare, psnr  # noqa: E402
from mobigen.models.network import Network  # noqa: E402
from mobigen.runtime.litert import LiteRTComponent  # noqa: E402
from mobigen.runtime.torch import TorchComponent  # noqa: E402
from mobigen.signature import Signature, TensorSpec  # noqa: E402


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
    with pytest.raises(ExportError, match="decoder: the result of fft_fft2 is complex"):
        convert(network, tmp_path / "decoder.tflite")


class Unknown(Network):
    """What LiteRT's converter does not know, or LiteRT itself does not."""

    component = "unknown"

    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def forward(self, x):
        return self.operation(x)

    def signature(self):
        return Signature(self.component, (TensorSpec("x", (1, 2, 4, 4)),), (TensorSpec("y", (1, 2, 4, 4)),))

    def example_inputs(self, generator):
        return {"x": torch.rand(1, 2, 4, 4, generator=generator)}


def transpose_volume(x):
    large = torch.nn.functional.conv_transpose3d(x[:, :, None], torch.ones(2, 2, 2, 2, 2), stride=2, padding=(0, 1, 1))
    return torch.nn.functional.pad(large[:, :, 0], (-1, -1, -1, -1))


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (torch.erfinv, "unknown cannot be converted to LiteRT: .*erfinv.*; instead of erfinv: compute it outside"),
        (transpose_volume, "unknown became a graph that LiteRT cannot run: .*; instead of transposed convolutions of"),
    ],
)
def test_what_cannot_be_converted_is_refused_and_the_target_stays(operation, message, tmp_path):
    target = tmp_path / "unknown.tflite"
    target.write_text("old")
    with pytest.raises(ExportError, match=message):
        convert(Unknown(operation).eval(), target)
    assert target.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == [target.name]


def test_sizes_share_their_weights(networks, exported_bundle, tmp_path):
    network = networks["decoder"]
    sizes = {"small": network, "large": network.at_size(96)}
    convert(sizes, tmp_path / "sizes.tflite")
    graph = Interpreter(str(tmp_path / "sizes.tflite"))
    assert list(graph.get_signature_list()) == list(sizes)
    for name, each in sizes.items():
        latent = each.example_inputs(torch.Generator().manual_seed(7))["latent"]
        found = graph.get_signature_runner(name)(latent=latent.numpy())["image"]
        assert psnr(each(latent).detach().numpy(), found) > 100
    assert weight_bytes(tmp_path / "sizes.tflite") == weight_bytes(exported_bundle / "litert" / "decoder.tflite")


def weight_bytes(path):
    """The bytes of all buffers of more than 200, which weights have and the constants of shapes have not."""
    from ai_edge_litert.tools import flatbuffer_utils

    buffers = flatbuffer_utils.read_model(str(path)).buffers
    return sum(len(each.data) for each in buffers if each.data is not None and len(each.data) > 200)


def test_networks_of_their_own_are_no_sizes_of_one(networks, tmp_path):
    other = tiny.tiny_networks()[2]
    with pytest.raises(ExportError, match="small, large do not share their parameters; make one of the other by at_"):
        convert({"small": networks["decoder"], "large": other}, tmp_path / "sizes.tflite")


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
