"""Each precision makes a graph smaller, keeps it above its floor, and leaves no weight as it was."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

import tiny_bundle as tiny  # noqa: E402

from mobigen.errors import ExportError  # noqa: E402
from mobigen.export import quantize as module  # noqa: E402
from mobigen.export.parity import compare, floor_of  # noqa: E402
from mobigen.export.quantize import PRECISIONS, needs_calibration, quantize  # noqa: E402
from mobigen.runtime.litert import LiteRTComponent  # noqa: E402
from mobigen.runtime.torch import TorchComponent  # noqa: E402

NARROW = [name for name in PRECISIONS if name != "float32"]


@pytest.fixture(scope="module")
def networks():
    return {network.component: network for network in tiny.tiny_networks()}


@pytest.mark.parametrize("component", tiny.JOINED["components"])
@pytest.mark.parametrize("precision", NARROW)
def test_a_precision_holds_its_floor_and_saves_space(precision, component, networks, exported_bundle, tmp_path):
    network, signature = networks[component], networks[component].signature()
    generator = torch.Generator().manual_seed(1)
    inputs = [{name: each.numpy() for name, each in network.example_inputs(generator).items()} for _ in range(6)]
    wide, narrow = exported_bundle / "litert" / f"{component}.tflite", tmp_path / "narrow.tflite"
    quantize(wide, narrow, precision, inputs[:3])
    graph = LiteRTComponent(narrow, signature, threads=1)
    decibels = compare(TorchComponent(network, signature), graph, inputs[3:])
    assert min(decibels.values()) >= floor_of(precision)
    assert narrow.stat().st_size < wide.stat().st_size
    types = {kind for _, kind in module._weights(narrow)}
    assert types == {"FLOAT16" if precision == "float16" else "INT8"}


def test_the_float32_graph_has_float32_weights(exported_bundle):
    found = list(module._weights(exported_bundle / "litert" / "denoiser.tflite"))
    assert len(found) > 10
    assert {kind for _, kind in found} == {"FLOAT32"}
    assert {"FULLY_CONNECTED", "DEPTHWISE_CONV_2D"} <= {operation for operation, _ in found}


def test_an_unknown_precision_is_refused(exported_bundle, tmp_path):
    with pytest.raises(ExportError, match=r"no precision 'int3'; accepted: float32, float16"):
        quantize(exported_bundle / "litert" / "decoder.tflite", tmp_path / "out.tflite", "int3")


def test_static_precision_without_calibration_is_refused(exported_bundle, tmp_path):
    assert [name for name in PRECISIONS if needs_calibration(name)] == ["int8-static"]
    with pytest.raises(ExportError, match="needs calibration"):
        quantize(exported_bundle / "litert" / "decoder.tflite", tmp_path / "out.tflite", "int8-static")


def test_weights_that_the_quantizer_passed_over_are_a_failure(exported_bundle, tmp_path, monkeypatch):
    recipe = module._recipe
    monkeypatch.setattr(
        module,
        "_recipe",
        lambda name: [each for each in recipe(name) if each["operation"] != "DEPTHWISE_CONV_2D"],
    )
    with pytest.raises(ExportError, match="left the weights of a DEPTHWISE_CONV_2D in FLOAT32"):
        quantize(exported_bundle / "litert" / "denoiser.tflite", tmp_path / "out.tflite", "int8-dynamic")


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(np.random.default_rng(0).bytes(4096))
    with pytest.raises(ExportError, match=r"broken\.tflite cannot be written in float16"):
        quantize(broken, tmp_path / "out.tflite", "float16")
