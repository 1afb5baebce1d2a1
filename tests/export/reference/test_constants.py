"""Compressed weights are, bit for bit, what coremltools decompresses them to."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tiny_networks import examples, tiny

from mobigen.export.parity import psnr
from mobigen.export.quiet import quiet
from mobigen.export.reference.constants import constant_values
from mobigen.export.reference.executor import ReferenceComponent
from mobigen.export.reference.package import operations, read_package
from mobigen.models.autoencoder import Decoder


def palettized(bits, **options):
    def compress(cto, model):
        config = cto.OpPalettizerConfig(mode="uniform", nbits=bits, weight_threshold=0, **options)
        return cto.palettize_weights(model, cto.OptimizationConfig(config))

    return compress


def quantized(dtype, **options):
    def compress(cto, model, **more):
        config = cto.OpLinearQuantizerConfig(mode="linear_symmetric", dtype=dtype, weight_threshold=0, **options)
        return cto.linear_quantize_weights(model, cto.OptimizationConfig(config), **more)

    return compress


def pruned(cto, model):
    config = cto.OpMagnitudePrunerConfig(target_sparsity=0.5, weight_threshold=0)
    return cto.prune_weights(model, cto.OptimizationConfig(config))


def pruned_and_palettized(cto, model):
    config = cto.OpPalettizerConfig(mode="uniform", nbits=4, weight_threshold=0)
    return cto.palettize_weights(pruned(cto, model), cto.OptimizationConfig(config), joint_compression=True)


def pruned_and_quantized(cto, model):
    return quantized("int8")(cto, pruned(cto, model), joint_compression=True)


COMPRESSIONS = {  # name -> how, the operation set, the operation that must be there, the dB of the whole network
    "palette of 8 bits": (palettized(8), "iOS16", "constexpr_lut_to_dense", 40),
    "palette of 6 bits": (palettized(6), "iOS16", "constexpr_lut_to_dense", 25),
    "palette of 4 bits": (palettized(4), "iOS18", "constexpr_lut_to_dense", 15),
    "palettes of groups": (
        palettized(4, granularity="per_grouped_channel", group_size=2), "iOS18", "constexpr_lut_to_dense", 15,
    ),
    "int8 by channel": (quantized("int8"), "iOS16", "constexpr_affine_dequantize", 35),
    "int8 by channel, newer": (quantized("int8"), "iOS18", "constexpr_blockwise_shift_scale", 35),
    "int4 by block": (
        quantized("int4", granularity="per_block", block_size=2), "iOS18", "constexpr_blockwise_shift_scale", 15,
    ),
    "sparse": (pruned, "iOS16", "constexpr_sparse_to_dense", 3),
    "sparse, newer": (pruned, "iOS18", "constexpr_sparse_to_dense", 3),
    "sparse with a palette": (pruned_and_palettized, "iOS18", "constexpr_lut_to_sparse", 3),
    "sparse int8": (pruned_and_quantized, "iOS18", "constexpr_sparse_blockwise_shift_scale", 3),
}  # fmt: skip


@pytest.fixture
def compressed(packages, network_package):
    """The decoder compressed, and the same decompressed by coremltools."""

    def make(name, precision):
        how, target, _, _ = COMPRESSIONS[name]
        source = network_package(Decoder, precision, target)
        label = f"{name}-{precision}"

        def load(path):
            import coremltools as ct

            return ct.models.MLModel(str(path), skip_model_load=True)

        def compress():
            import coremltools.optimize.coreml as cto

            return how(cto, load(source))

        def decompress():
            import coremltools.optimize.coreml as cto

            return cto.decompress_weights(load(packages(label, compress)))

        return packages(label, compress), packages(f"{label}-dense", decompress)

    return make


def weights(path):
    """The weight of every convolution, by the place of the convolution."""
    function = read_package(path).functions["main"]
    values = constant_values(function)
    return [values[each.inputs["weight"][0]] for each in function.operations if each.kind == "conv"]


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_weights_are_those_that_coremltools_gives(name, compressed):
    path, dense = compressed(name, "FLOAT16")
    assert operations(read_package(path))[COMPRESSIONS[name][2]] == len(weights(path))
    assert not any(kind.startswith("constexpr") for kind in operations(read_package(dense)))
    for found, wanted in zip(weights(path), weights(dense), strict=True):
        assert found.dtype == wanted.dtype == np.float16
        np.testing.assert_array_equal(found.view(np.uint16), wanted.view(np.uint16))


@pytest.mark.parametrize("name", ["palette of 8 bits", "int8 by channel, newer"])
def test_a_compressed_network_runs_and_resembles_its_network(name, compressed):
    network = tiny(Decoder)
    inputs = {each: tensor.numpy() for each, tensor in examples(network).items()}
    found = ReferenceComponent(compressed(name, "FLOAT16")[0], network.signature())(**inputs)["image"]
    with quiet():
        wanted = network(**examples(network)).detach().numpy()
    assert COMPRESSIONS[name][3] < psnr(wanted, found) < 90
