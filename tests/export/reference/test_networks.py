"""Every network, converted and run, is the network itself: closely in float64, well in float32 and float16."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from tiny_networks import KINDS, examples, results, tiny  # noqa: E402

from mobigen.export.parity import psnr  # noqa: E402
from mobigen.export.reference.executor import ReferenceComponent  # noqa: E402
from mobigen.models.denoiser import Denoiser  # noqa: E402
from mobigen.models.text_encoder import TextEncoder  # noqa: E402


def in_double(kind, seed):
    """Inputs, and what the network makes of them in float64, by name."""
    network = tiny(kind).fuse()
    inputs = {
        name: each.double() if each.is_floating_point() else each for name, each in examples(network, seed).items()
    }
    outputs = results(network.double(), inputs)
    names = [spec.name for spec in network.signature().outputs]
    arrays = {name: each.numpy() for name, each in inputs.items()}
    return arrays, {name: each.numpy() for name, each in zip(names, outputs, strict=True)}


def narrow(arrays):
    return {name: each.astype(np.float32) if each.dtype == np.float64 else each for name, each in arrays.items()}


def apart(found, wanted):
    """The largest difference by the largest magnitude, of the worst output."""
    return max(np.abs(found[name] - wanted[name]).max() / np.abs(wanted[name]).max() for name in wanted)


def component(path, kind, precision):
    return ReferenceComponent(path, tiny(kind).signature(), precision)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
def test_a_program_is_its_network(kind, seed, network_package):
    inputs, wanted = in_double(kind, seed)
    found = component(network_package(kind), kind, "float64")(**inputs)
    assert {each.dtype.name for each in found.values()} == {"float64"}
    assert apart(found, wanted) < 1e-6
    found = component(network_package(kind), kind, "float32")(**narrow(inputs))
    assert {each.dtype.name for each in found.values()} == {"float32"}
    assert 0 < apart(found, wanted) < 1e-4


@pytest.mark.parametrize("kind", [TextEncoder, Denoiser])
def test_attention_in_older_operations_is_the_same(kind, network_package):
    inputs, wanted = in_double(kind, seed=3)
    assert apart(component(network_package(kind, target="iOS16"), kind, "float64")(**inputs), wanted) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_a_float16_program_rounds_and_holds(kind, network_package):
    inputs, wanted = in_double(kind, seed=4)
    path = network_package(kind, "FLOAT16")
    found = component(path, kind, "float16")(**narrow(inputs))
    assert all(np.isfinite(each).all() for each in found.values())
    decibels = min(psnr(wanted[name], found[name]) for name in wanted)
    carried = component(path, kind, "float32")(**narrow(inputs))
    weights_alone = min(psnr(wanted[name], carried[name]) for name in wanted)
    assert decibels > 40
    assert decibels != weights_alone  # its results are rounded, too
