"""A saved package becomes records, and one that is damaged, edited or of another kind is refused in one line."""

import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tiny_networks import tiny  # noqa: E402

from mobigen.errors import BundleError, ExportError  # noqa: E402
from mobigen.export.quiet import quiet  # noqa: E402
from mobigen.export.reference.executor import Executor, ReferenceComponent  # noqa: E402
from mobigen.export.reference.package import operations, read_package  # noqa: E402
from mobigen.models.autoencoder import Decoder  # noqa: E402

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


@pytest.fixture
def package(network_package, tmp_path):
    """A copy of a decoder's package that a test may damage."""
    return shutil.copytree(network_package(Decoder), tmp_path / "decoder.mlpackage")


@pytest.fixture
def edit(package):
    """Changes the model file by hand: a function is handed its protobuf message, or its one block."""
    with quiet():
        from coremltools.proto import Model_pb2

    def change(how):
        model = Model_pb2.Model()
        model.ParseFromString((package / MODEL).read_bytes())
        how(model)
        (package / MODEL).write_bytes(model.SerializeToString())

    return change


def block(model):
    function = model.mlProgram.functions["main"]
    return function.block_specializations[function.opset]


def refused(package, what):
    with pytest.raises(BundleError, match=what) as caught:
        read_package(package)
    assert "\n" not in str(caught.value)


def test_a_program_is_read_as_it_stands(package):
    program = read_package(package)
    function = program.functions[program.default]
    counts = operations(program)
    assert [(value.name, value.dtype, value.shape) for value in function.inputs] == [("latent", "fp32", (1, 4, 4, 4))]
    assert [(value.name, value.shape) for value in function.outputs] == [("image", (1, 4, 64, 64))]
    assert counts["conv"] == sum(isinstance(each, torch.nn.Conv2d) for each in tiny(Decoder).modules())
    assert counts["pixel_shuffle"] == 4
    stored = {each.outputs[0].name: each.attributes["val"] for each in function.operations if each.kind == "const"}
    first = next(each for each in function.operations if each.kind == "conv")
    np.testing.assert_array_equal(stored[first.inputs["weight"][0]].data, tiny(Decoder).entry.weight.detach().numpy())
    assert stored[first.inputs["pad_type"][0]].data == "custom"


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("Manifest.json", "not an .mlpackage: Manifest.json cannot be read"),
        (MODEL, "cannot be read"),
        (WEIGHTS, "cannot be read"),
    ],
)
def test_a_missing_file_is_named(package, file, what):
    (package / file).unlink()
    refused(package, what)


def test_a_package_that_is_not_there_is_refused(tmp_path):
    refused(tmp_path / "nothing.mlpackage", "Manifest.json cannot be read")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rootModelIdentifier": "x", "itemInfoEntries": {}}'])
def test_a_manifest_that_names_no_model_is_refused(package, text):
    (package / "Manifest.json").write_text(text)
    refused(package, "does not name a model")


def test_a_manifest_that_leaves_the_package_is_refused(package):
    manifest = json.loads((package / "Manifest.json").read_text())
    manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = "../../secret"
    (package / "Manifest.json").write_text(json.dumps(manifest))
    refused(package, "outside the package")


@pytest.mark.parametrize("file", [MODEL, WEIGHTS])
def test_a_file_that_was_cut_off_is_refused(package, file):
    data = (package / file).read_bytes()
    (package / file).write_bytes(data[: len(data) // 2])
    refused(package, "cut off|damaged")


def test_another_kind_of_model_is_refused(edit, package):
    edit(lambda model: model.neuralNetwork.SetInParent())
    refused(package, "holds a model of type neuralNetwork; accepted: an ML Program")


def moved_blob(model):
    for each in block(model).operations:
        if each.attributes["val"].WhichOneof("value") == "blobFileValue":
            each.attributes["val"].blobFileValue.offset += 64
            return


def stray_file(model):
    for each in block(model).operations:
        if each.attributes["val"].WhichOneof("value") == "blobFileValue":
            each.attributes["val"].blobFileValue.fileName = "@model_path/../../../weights.bin"
            return


def short_constant(model):
    const = next(each for each in block(model).operations if each.attributes["val"].immediateValue.tensor.ints.values)
    del const.attributes["val"].immediateValue.tensor.ints.values[-1]


def renamed(model):
    next(each for each in block(model).operations if each.type == "conv").outputs[0].name = "elsewhere"


def made_twice(model):
    one, other = [each for each in block(model).operations if each.type == "conv"][:2]
    other.outputs[0].name = one.outputs[0].name


def without_block(model):
    model.mlProgram.functions["main"].opset = "CoreML99"


def other_output(model):
    block(model).outputs[0] = "nowhere"


def described_otherwise(model):
    model.description.output[0].name = "picture"


def without_function(model):
    model.description.defaultFunctionName = "other"


@pytest.mark.parametrize(
    ("how", "what"),
    [
        (moved_blob, "weight.bin is damaged: at .* there is no blob"),
        (stray_file, "outside the package"),
        (short_constant, "its value has .* entries"),
        (renamed, "which nothing before it makes"),
        (made_twice, "is made twice"),
        (without_block, "no block for CoreML99"),
        (other_output, "returns nowhere, which nothing in it makes"),
        (described_otherwise, "description states main: latent -> picture, which is not its program"),
        (without_function, "no function 'other', only main"),
    ],
)
def test_an_edited_program_is_refused(how, what, edit, package):
    edit(how)
    refused(package, what)


def test_all_unknown_operations_are_named_before_anything_runs(edit, package):
    def replace(model):
        one, other = [each for each in block(model).operations if each.type == "relu"][:2]
        one.type, other.type = "warp_drive", "hologram"

    edit(replace)
    with pytest.raises(ExportError, match="does not know hologram, warp_drive"):
        ReferenceComponent(package, tiny(Decoder).signature())


def test_unknown_and_missing_parameters_are_named(edit, package):
    def add(model):
        conv = next(each for each in block(model).operations if each.type == "conv")
        conv.inputs["tilt"].CopyFrom(conv.inputs["pad"])

    edit(add)
    with pytest.raises(ExportError, match=r"conv \(.*\) has the parameter tilt"):
        Executor(read_package(package).functions["main"])


def test_a_missing_parameter_is_named(edit, package):
    def remove(model):
        del next(each for each in block(model).operations if each.type == "conv").inputs["weight"]

    edit(remove)
    with pytest.raises(ExportError, match=r"conv \(.*\) lacks its parameter weight"):
        Executor(read_package(package).functions["main"])


def test_a_shape_that_is_not_the_programs_is_an_error(edit, package):
    def widen(model):
        shuffle = next(each for each in block(model).operations if each.type == "pixel_shuffle")
        shuffle.outputs[0].type.tensorType.dimensions[3].constant.size = 9

    edit(widen)
    run = ReferenceComponent(package, tiny(Decoder).signature())
    with pytest.raises(
        ExportError, match=r"pixel_shuffle \(.*\) cannot be computed: .* has shape .*, the program states"
    ):
        run(latent=np.zeros((1, 4, 4, 4), np.float32))
