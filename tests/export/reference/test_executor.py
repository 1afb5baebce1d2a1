"""What the executor accepts and gives in each precision, and which function it runs."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tiny_networks import examples, tiny  # noqa: E402

from mobigen.errors import BundleError, InputError  # noqa: E402
from mobigen.export.reference.executor import Executor, ReferenceComponent  # noqa: E402
from mobigen.export.reference.package import Function, Operation, Value, read_package  # noqa: E402
from mobigen.models.autoencoder import Decoder, Encoder  # noqa: E402
from mobigen.signature import Signature, TensorSpec  # noqa: E402


def constant(name, data, dtype):
    value = Value(name, dtype, np.shape(data), np.asarray(data))
    return Operation("const", {}, (Value(name, dtype, np.shape(data)),), {"val": value})


def step(kind, name, dtype="fp16", shape=(3,), **inputs):
    return Operation(kind, {key: (each,) for key, each in inputs.items()}, (Value(name, dtype, shape),))


def cast(x, name, dtype):
    given = {"x": (x,), "dtype": (Value("dtype", "string", (), dtype),)}
    return Operation("cast", given, (Value(name, dtype, (1,)),))


def halves(*steps):
    """A function of x (3,) in float16 that returns the result of its last step."""
    return Function((Value("x", "fp16", (3,)),), steps[-1].outputs, steps)


THIRD = np.float16(1 / 3)


def test_float16_rounds_every_result_that_is_stated_as_float16():
    function = halves(
        constant("third", THIRD, "fp16"),
        step("mul", "product", x="x", y="third"),
        step("sub", "rest", x="product", y="x"),
    )
    x = np.array([1, 0.1, 70], np.float16)
    product = (x.astype(np.float32) * np.float32(THIRD)).astype(np.float16)
    rest = (product.astype(np.float32) - x.astype(np.float32)).astype(np.float16)
    found = Executor(function, "float16")({"x": x})["rest"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, rest.astype(np.float32))
    wide = x.astype(np.float64) * (float(THIRD) - 1)
    assert not np.array_equal(found, wide)
    np.testing.assert_allclose(Executor(function, "float64")({"x": x})["rest"], wide, rtol=1e-15)


def test_float16_overflows_to_infinity_and_sums_in_float32():
    square = halves(step("mul", "square", x="x", y="x"))
    assert Executor(square, "float16")({"x": np.array([256, -300, 2], np.float32)})["square"].tolist() == [
        np.inf, np.inf, 4,
    ]  # fmt: skip
    total = halves(
        constant("axes", np.array([0], np.int32), "int32"),
        constant("keep", np.array(True), "bool"),
        step("reduce_sum", "total", shape=(1,), x="x", axes="axes", keep_dims="keep"),
    )
    assert Executor(total, "float16")({"x": np.array([2048, 1, 1], np.float32)})["total"].tolist() == [2050]


def test_a_cast_changes_no_number_in_float64():
    function = Function(
        (Value("x", "fp32", (1,)),), (Value("y", "fp32", (1,)),), (cast("x", "half", "fp16"), cast("half", "y", "fp32"))
    )
    x = np.array([1 / 3])
    assert Executor(function, "float64")({"x": x})["y"] == x
    assert Executor(function, "float32")({"x": x})["y"] == np.float32(x)
    assert Executor(function, "float16")({"x": x})["y"] == np.float16(x)


@pytest.fixture(scope="module")
def decoder(network_package):
    return network_package(Decoder)


def test_inputs_are_checked_as_every_component_checks_them(decoder):
    run = ReferenceComponent(decoder, tiny(Decoder).signature(), "float32")
    for inputs in ({}, {"latent": np.zeros((1, 4, 4, 5), np.float32)}, {"latent": np.zeros((1, 4, 4, 4))}):
        with pytest.raises(InputError, match="decoder"):
            run(**inputs)


def test_float64_takes_both_widths_and_other_types_no_more(decoder):
    run = ReferenceComponent(decoder, tiny(Decoder).signature(), "float64")
    latent = examples(tiny(Decoder))["latent"].numpy()
    np.testing.assert_array_equal(run(latent=latent)["image"], run(latent=latent.astype(np.float64))["image"])
    with pytest.raises(InputError, match="float16"):
        run(latent=latent.astype(np.float16))


def test_the_same_inputs_give_the_same_outputs(decoder):
    run = ReferenceComponent(decoder, tiny(Decoder).signature())
    latent = examples(tiny(Decoder))["latent"].numpy()
    kept = latent.copy()
    first = run(latent=latent)["image"]
    np.testing.assert_array_equal(first, run(latent=latent)["image"])
    np.testing.assert_array_equal(latent, kept)


def test_another_signature_is_refused(decoder):
    latent, image = TensorSpec("latent", (1, 4, 4, 4)), TensorSpec("image", (1, 4, 64, 64))
    for inputs, outputs in (
        ((TensorSpec("latent", (1, 4, 8, 8)),), (image,)),
        ((TensorSpec("code", (1, 4, 4, 4)),), (image,)),
        ((TensorSpec("latent", (1, 4, 4, 4), "int32"),), (image,)),
        ((latent,), (TensorSpec("picture", (1, 4, 64, 64)),)),
        ((latent,), (image, TensorSpec("mask", (1, 4)))),
    ):
        with pytest.raises(BundleError, match="the signature states"):
            ReferenceComponent(decoder, Signature("decoder", inputs, outputs))


def test_there_are_three_precisions(decoder):
    with pytest.raises(InputError, match="no precision 'int8'; accepted: float64, float32, float16"):
        ReferenceComponent(decoder, tiny(Decoder).signature(), "int8")


@pytest.fixture(scope="module")
def two_functions(network_package, tmp_path_factory):
    """The encoder and the decoder in one package; the decoder runs when none is asked for."""
    import coremltools as ct

    from mobigen.export.quiet import quiet

    path = tmp_path_factory.mktemp("several") / "both.mlpackage"
    with quiet():
        functions = ct.utils.MultiFunctionDescriptor()
        functions.add_function(str(network_package(Encoder)), "main", "encode")
        functions.add_function(str(network_package(Decoder)), "main", "decode")
        functions.default_function_name = "decode"
        ct.utils.save_multifunction(functions, str(path))
    return path


def test_a_function_is_chosen_by_name(two_functions, network_package):
    program = read_package(two_functions)
    assert set(program.functions) == {"encode", "decode"}
    for kind, function in ((Encoder, "encode"), (Decoder, "decode"), (Decoder, None)):
        inputs = {name: each.numpy() for name, each in examples(tiny(kind)).items()}
        chosen = ReferenceComponent(two_functions, tiny(kind).signature(), function=function)(**inputs)
        alone = ReferenceComponent(network_package(kind), tiny(kind).signature())(**inputs)
        for name, values in alone.items():
            np.testing.assert_array_equal(chosen[name], values)


def test_a_function_that_is_not_there_is_refused(two_functions):
    with pytest.raises(BundleError, match="no function 'train', only"):
        ReferenceComponent(two_functions, tiny(Decoder).signature(), function="train")
    with pytest.raises(BundleError, match="the signature states"):
        ReferenceComponent(two_functions, tiny(Decoder).signature(), function="encode")
