"""A package that is not what was asked for is refused."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tiny_networks import tiny

from mobigen.errors import ExportError
from mobigen.export import coreml
from mobigen.export.mlprogram import check_program
from mobigen.models.autoencoder import Decoder

NETWORK = tiny(Decoder, widths=(16, 8, 8))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The model of an int8 package, as bytes."""
    path = tmp_path_factory.mktemp("coreml") / "decoder.mlpackage"
    coreml.convert(NETWORK, path, "int8")
    return (path / coreml.MODEL).read_bytes()


@pytest.fixture
def spec(stored):
    from coremltools.proto import Model_pb2

    return Model_pb2.Model.FromString(stored)


def check(spec, precision="int8", network=NETWORK):
    check_program(spec, {"main": network.signature()}, precision)


def operations(spec):
    return spec.mlProgram.functions["main"].block_specializations["CoreML7"].operations


def first(spec, kind):
    return next(each for each in operations(spec) if each.type == kind)


def test_what_was_asked_for_is_accepted(spec):
    check(spec)


@pytest.mark.parametrize("precision", ["float16", "palette8"])
def test_weights_in_another_form_are_refused(spec, precision):
    with pytest.raises(ExportError, match=f"decoder in {precision}: the weight .* of a conv is int8"):
        check(spec, precision)


def test_arithmetic_in_another_type_is_refused(spec):
    with pytest.raises(ExportError, match=r"decoder in float32: .* stayed in FLOAT16"):
        check(spec, "float32")


def test_another_size_is_refused(spec):
    with pytest.raises(ExportError, match="its signature states"):
        check(spec, network=NETWORK.at_size(96))


def test_a_scale_for_all_channels_is_refused(spec):
    weight = first(spec, "constexpr_affine_dequantize")
    weight.attributes["scale"].type.tensorType.dimensions[0].constant.size = 1
    with pytest.raises(ExportError, match="is constexpr_affine_dequantize"):
        check(spec)


def test_an_unknown_size_is_refused(spec):
    first(spec, "relu").outputs[0].type.tensorType.dimensions[2].unknown.variadic = False
    with pytest.raises(ExportError, match=r"relu .* has a size known only at run time"):
        check(spec)


def test_a_sixth_axis_is_refused(spec):
    dimensions = first(spec, "relu").outputs[0].type.tensorType.dimensions
    for _ in range(2):
        dimensions.add().constant.size = 1
    with pytest.raises(ExportError, match="more than 5 axes"):
        check(spec)
