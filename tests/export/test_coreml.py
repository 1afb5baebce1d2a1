"""Every precision of a Core ML package: the same network, in the form asked for, under the names of its signature."""

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tiny_networks import examples, results, tiny  # noqa: E402

from mobigen.errors import ConfigError, ExportError, MissingExtraError  # noqa: E402
from mobigen.export import coreml  # noqa: E402
from mobigen.export.coreml import PRECISIONS, convert  # noqa: E402
from mobigen.export.mlprogram import WEIGHT_THRESHOLD  # noqa: E402
from mobigen.export.parity import psnr  # noqa: E402
from mobigen.export.reference.executor import ReferenceComponent  # noqa: E402
from mobigen.export.reference.package import read_package  # noqa: E402
from mobigen.models.autoencoder import Decoder  # noqa: E402
from mobigen.models.network import Network  # noqa: E402
from mobigen.models.text_encoder import TextEncoder  # noqa: E402
from mobigen.signature import Signature, TensorSpec  # noqa: E402

# Convolutions alone; and a table, attention, norms and linear layers: each with weights above and below the threshold.
NETWORKS = {
    "decoder": tiny(Decoder, widths=(24, 16, 8)),
    "text_encoder": tiny(TextEncoder, vocabulary=300, embedding_dim=16, dim=48, depth=1),
}
FLOOR = {"float32": 140, "float16": 70, "int8": 48, "palette8": 48, "palette6": 36, "palette4": 25}  # dB
BITS = {"float32": 32, "float16": 16, "int8": 8, "palette8": 8, "palette6": 6, "palette4": 4}
KIND = {  # of the operation that makes a large weight
    "float32": "const",
    "float16": "const",
    "int8": "constexpr_affine_dequantize",
    "palette8": "constexpr_lut_to_dense",
    "palette6": "constexpr_lut_to_dense",
    "palette4": "constexpr_lut_to_dense",
}
CASES = [(component, precision) for component in NETWORKS for precision in PRECISIONS]


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """(component, precision) -> its package, converted when it is first asked for."""
    folder, made = tmp_path_factory.mktemp("coreml"), {}

    def package(component, precision):
        path = folder / f"{component}-{precision}.mlpackage"
        if (component, precision) not in made:
            convert(NETWORKS[component], path, precision)
            made[component, precision] = path
        return made[component, precision]

    return package


def contents(folder):
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def large_weights(network):
    """Those that a compression takes: matrices, kernels and tables above the threshold."""
    layers = [each for each in network.modules() if isinstance(each, (torch.nn.Conv2d, torch.nn.Linear))]
    layers += [each for each in network.modules() if isinstance(each, torch.nn.Embedding)]
    unused = {id(network.sentence)} if hasattr(network, "sentence") else set()  # of the training's loss alone
    return [each.weight for each in layers if each.weight.numel() > WEIGHT_THRESHOLD and id(each) not in unused]


@pytest.mark.parametrize(("component", "precision"), CASES)
def test_a_package_follows_its_network(component, precision, packages):
    network = NETWORKS[component]
    arithmetic = "float32" if precision == "float32" else "float16"
    package = ReferenceComponent(packages(component, precision), network.signature(), arithmetic)
    inputs = examples(network, seed=5)
    found = package(**{name: each.numpy() for name, each in inputs.items()})
    for spec, expected in zip(network.signature().outputs, results(network, inputs), strict=True):
        assert psnr(expected.numpy(), found[spec.name]) >= FLOOR[precision]


@pytest.mark.parametrize("component", NETWORKS)
def test_a_float32_package_is_the_network_in_double(component, packages):
    network = NETWORKS[component]
    inputs = examples(network, seed=6)
    package = ReferenceComponent(packages(component, "float32"), network.signature(), "float64")
    found = package(**{name: each.numpy() for name, each in inputs.items()})
    exact = {name: each.double() if each.is_floating_point() else each for name, each in inputs.items()}
    expected = results(network.double(), exact)
    network.float()
    for spec, each in zip(network.signature().outputs, expected, strict=True):
        assert np.abs(found[spec.name] - each.numpy()).max() <= 1e-6 * each.abs().max().item()


@pytest.mark.parametrize(("component", "precision"), CASES)
def test_weights_have_the_form_that_was_asked_for(component, precision, packages):
    weights = large_weights(NETWORKS[component])
    assert len(weights) >= 3
    operations = read_package(packages(component, precision)).functions["main"].operations
    made = [each for each in operations if each.kind == KIND[precision]]
    shapes = sorted(tuple(each.shape) for each in weights)
    large = [each.outputs[0] for each in made if np.prod(each.outputs[0].shape) > WEIGHT_THRESHOLD]
    assert sorted(each.shape for each in large) == shapes
    assert {each.dtype for each in large} == {"fp32" if precision == "float32" else "fp16"}


@pytest.mark.parametrize(("component", "precision"), CASES)
def test_a_package_is_as_large_as_its_weights(component, precision, packages):
    large = sum(each.numel() for each in large_weights(NETWORKS[component]))
    stored = (packages(component, precision) / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    wide = (packages(component, "float16") / "Data/com.apple.CoreML/weights/weight.bin").stat().st_size
    if precision != "float32":  # which is no saving
        assert stored - wide <= (BITS[precision] / 8 - 2) * large + 1500 * len(large_weights(NETWORKS[component]))
    assert stored >= BITS[precision] / 8 * large


@pytest.mark.parametrize("component", NETWORKS)
def test_names_shapes_and_types_are_those_of_the_signature(component, packages):
    signature = NETWORKS[component].signature()
    for precision in ("float32", "float16", "palette6"):
        function = read_package(packages(component, precision)).functions["main"]
        for specs, values in ((signature.inputs, function.inputs), (signature.outputs, function.outputs)):
            stated = [(spec.name, spec.shape, spec.dtype.replace("float32", "fp32")) for spec in specs]
            assert [(each.name, each.shape, each.dtype) for each in values] == stated


def test_a_package_runs_from_ios_17_on_and_says_what_it_is(packages):
    from coremltools.proto import Model_pb2

    spec = Model_pb2.Model.FromString((packages("text_encoder", "int8") / coreml.MODEL).read_bytes())
    assert spec.specificationVersion == 8  # iOS 17
    assert spec.description.metadata.shortDescription == "mobigen: text_encoder, int8"
    assert spec.description.input[0].shortDescription == "from 0 to 299"


def test_the_same_network_gives_the_same_bytes_in_silence(packages, tmp_path, capfd):
    first = packages("decoder", "palette4")
    capfd.readouterr()
    convert(NETWORKS["decoder"], tmp_path / "again.mlpackage", "palette4")
    print("after")
    assert capfd.readouterr() == ("after\n", "")
    assert contents(tmp_path / "again.mlpackage") == contents(first)
    assert set(contents(first)) == {
        "Manifest.json",
        "Data/com.apple.CoreML/model.mlmodel",
        "Data/com.apple.CoreML/weights/weight.bin",
    }


class Bytes(Network):
    """A picture of bytes -> its negative."""

    component = "negative"

    def forward(self, image):
        return 255 - image

    def signature(self):
        sides = TensorSpec("image", (1, 4, 4, 3), "uint8"), TensorSpec("negative", (1, 4, 4, 3), "uint8")
        return Signature(self.component, (sides[0],), (sides[1],))

    def example_inputs(self, generator):
        return {"image": torch.randint(0, 256, (1, 4, 4, 3), generator=generator, dtype=torch.uint8)}


def test_bytes_are_int32_at_the_edge(tmp_path):
    network = Bytes().eval()
    convert(network, tmp_path / "negative.mlpackage")
    wide = coreml.wide_edges(network).signature()
    assert {spec.dtype for spec in (*wide.inputs, *wide.outputs)} == {"int32"}
    image = examples(network)["image"]
    package = ReferenceComponent(tmp_path / "negative.mlpackage", wide)
    assert np.array_equal(package(image=image.numpy().astype(np.int32))["negative"], 255 - image.numpy())


def test_sizes_share_their_weights(packages, tmp_path):
    network = NETWORKS["decoder"]
    sizes = {"small": network, "large": network.at_size(96)}
    convert(sizes, tmp_path / "decoder.mlpackage", "float16")
    program = read_package(tmp_path / "decoder.mlpackage")
    assert program.default == "small"
    assert set(program.functions) == {"small", "large"}
    for name, each in sizes.items():
        inputs = examples(each)
        package = ReferenceComponent(tmp_path / "decoder.mlpackage", each.signature(), "float16", name)
        (expected,) = results(each, inputs)
        assert psnr(expected.numpy(), package(latent=inputs["latent"].numpy())["image"]) >= FLOOR["float16"]
    one, both = (
        len(contents(folder)["Data/com.apple.CoreML/weights/weight.bin"])
        for folder in (packages("decoder", "float16"), tmp_path / "decoder.mlpackage")
    )
    assert one == both


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({}, "there is no network"),
        ({"small": NETWORKS["decoder"], "large": tiny(Decoder)}, "small, large do not share their parameters"),
        ({"64x64": NETWORKS["decoder"]}, "'64x64' cannot name a function"),
    ],
)
def test_functions_that_cannot_be_one_package_are_refused(functions, message, tmp_path):
    with pytest.raises(ExportError, match=message):
        convert(functions, tmp_path / "decoder.mlpackage")


@pytest.mark.parametrize("name", ["decoder.tflite", "decoder"])
def test_a_package_has_the_ending_of_one(name, tmp_path):
    with pytest.raises(ExportError, match=r"end it in \.mlpackage"):
        convert(NETWORKS["decoder"], tmp_path / name)


def test_an_unknown_precision_is_refused(tmp_path):
    with pytest.raises(ExportError, match=r"no precision 'palette2'; accepted: float32, float16, int8"):
        convert(NETWORKS["decoder"], tmp_path / "decoder.mlpackage", "palette2")


@pytest.mark.parametrize(
    ("package", "precision"), [("coremltools", "float32"), ("sklearn", "palette6"), ("sklearn", "palette4")]
)
def test_a_missing_package_is_named_with_its_extra(package, precision, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"Core ML in {precision} needs: pip install 'mobigen\[export\]'"):
        convert(NETWORKS["decoder"], tmp_path / "decoder.mlpackage", precision)


class Strange(Bytes):
    """Floats -> what a test makes of them."""

    def __init__(self, result, name="negative"):
        super().__init__()
        self.result, self.name = result, name

    def forward(self, image):
        return self.result(image)

    def signature(self):
        return Signature(self.component, (TensorSpec("image", (2, 6)),), (TensorSpec(self.name, (2, 6)),))

    def example_inputs(self, generator):
        return {"image": torch.rand(2, 6, generator=generator)}


@pytest.mark.parametrize(
    ("network", "error", "message"),
    [
        (Strange(torch.neg).train(), ExportError, "training mode"),
        (Strange(torch.neg, "image").eval(), ConfigError, "uses image twice"),
        (Strange(lambda x: x.reshape(1, 2, 1, 3, 1, 2).flip(5).reshape(2, 6)).eval(), ExportError, "has 6 axes"),
        (Strange(lambda x: x.masked_select(x > 1).sum() + x).eval(), ExportError, "size known only at run time"),
        (Strange(lambda x: torch.fft.fft(x).real).eval(), ExportError, "is complex; write complex numbers as pairs"),
        (Strange(torch.erfinv).eval(), ExportError, "cannot be converted to Core ML: .*erfinv; instead of erfinv"),
    ],
)
def test_what_cannot_be_converted_is_refused_and_the_target_stays(network, error, message, tmp_path):
    target = tmp_path / "negative.mlpackage"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(error, match=message):
        convert(network, target)
    assert [each.name for each in tmp_path.iterdir()] == [target.name]
    assert [each.name for each in target.iterdir()] == ["old"]


def test_weights_that_were_passed_over_are_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(coreml, "_compress", lambda model, precision: model)
    with pytest.raises(ExportError, match=r"decoder in palette6: the weight .* of a conv is float16"):
        convert(NETWORKS["decoder"], tmp_path / "decoder.mlpackage", "palette6")
    assert not any(tmp_path.iterdir())
