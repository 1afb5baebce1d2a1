"""Each precision makes a graph smaller, keeps it above its floor, and leaves no weight as it was."""

import numpy as np
import pytest
from tiny_upscaler import arrays

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

import tiny_bundle as tiny  # noqa: E402
from ai_edge_litert import schema_py_generated as schema  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402
from ai_edge_litert.tools import flatbuffer_utils  # noqa: E402

from mobigen.errors import ExportError  # noqa: E402
from mobigen.export import quantize as module  # noqa: E402
from mobigen.export.flatbuffer import FlatGraph, compact  # noqa: E402
from mobigen.export.parity import compare, floor_of  # noqa: E402
from mobigen.export.quantize import PRECISIONS, needs_calibration, quantize  # noqa: E402
from mobigen.quantization.layers import KINDS  # noqa: E402
from mobigen.quantization.network import Quantization, quantized_copy, restore_layers  # noqa: E402
from mobigen.quantization.ranges import learned_layers  # noqa: E402
from mobigen.runtime.byte_edges import ByteEdges, byte_signature  # noqa: E402
from mobigen.runtime.litert import LiteRTComponent  # noqa: E402
from mobigen.runtime.torch import TorchComponent  # noqa: E402

FULL = ["int8-full", "uint8-full"]
PARTIAL = [name for name in PRECISIONS if name not in ("float32", *FULL)]


@pytest.fixture(scope="module")
def networks():
    return {network.component: network for network in tiny.tiny_networks()}


@pytest.mark.parametrize("component", tiny.JOINED["components"])
@pytest.mark.parametrize("precision", PARTIAL)
def test_a_precision_holds_its_floor_and_saves_space(precision, component, networks, exported_bundle, tmp_path):
    network, signature = networks[component], networks[component].signature()
    inputs = arrays(network, 6, seed=1)
    wide, narrow = exported_bundle / "litert" / f"{component}.tflite", tmp_path / "narrow.tflite"
    quantize(wide, narrow, precision, inputs[:3])
    graph = LiteRTComponent(narrow, signature, threads=1)
    decibels = compare(TorchComponent(network, signature), graph, inputs[3:])
    assert min(decibels.values()) >= floor_of(precision)
    assert narrow.stat().st_size < wide.stat().st_size
    types = {kind for _, kind in module._weights(narrow)}
    assert types <= {"float16": {"FLOAT16"}, "int8-mixed": {"INT8", "FLOAT16"}}.get(precision, {"INT8"})
    assert [path.name for path in tmp_path.iterdir()] == ["narrow.tflite"]
    assert narrow.stat().st_mode & 0o777 == 0o644


def constants_outside(path):
    """The file with its constants behind the graph, as the quantizer writes large ones."""
    model, constants = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0), b""
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data):
            buffer.offset, buffer.size = len(constants) + 1, len(buffer.data)
            constants += bytes(buffer.data) + bytes(-len(buffer.data) % 64)
            buffer.data = None
    head = flatbuffer_utils.convert_object_to_bytearray(model)
    length = len(head) + -len(head) % 64
    for buffer in model.buffers:
        buffer.offset += length - 1 if buffer.offset else 0
    head = flatbuffer_utils.convert_object_to_bytearray(model)
    path.write_bytes(bytes(head).ljust(length, b"\0") + constants)


def test_compacting_keeps_what_a_graph_computes_and_how_its_constants_are_aligned(networks, exported_bundle, tmp_path):
    whole, narrow = tmp_path / "whole.tflite", tmp_path / "narrow.tflite"
    quantize(exported_bundle / "litert" / "denoiser.tflite", whole, "int8-weights")
    constants_outside(whole)
    narrow.write_bytes(whole.read_bytes())
    compact(narrow)
    assert narrow.stat().st_size < 0.9 * whole.stat().st_size
    signature = networks["denoiser"].signature()
    for inputs in arrays(networks["denoiser"], 2, seed=3):
        results = [LiteRTComponent(path, signature, threads=1)(**inputs) for path in (narrow, whole)]
        np.testing.assert_array_equal(*(result["velocity"] for result in results))
    offsets = [each.offset for each in schema.ModelT.InitFromPackedBuf(narrow.read_bytes(), 0).buffers if each.offset]
    assert offsets
    assert all(offset % 64 == 0 for offset in offsets)
    names = FlatGraph(narrow).activations().values()
    assert any("DenoiserBlock_0" in name for name in names)
    assert not any("mobigen." in name for name in names)


def test_a_graph_with_its_constants_inside_is_left_as_it_is(exported_bundle, tmp_path):
    graph = tmp_path / "inside.tflite"
    FlatGraph(exported_bundle / "litert" / "decoder.tflite").write(graph)
    before = graph.read_bytes()
    compact(graph)
    assert graph.read_bytes() == before


def test_layers_that_widen_fourfold_keep_float16(exported_bundle, tmp_path):
    wide, narrow = exported_bundle / "litert" / "denoiser.tflite", tmp_path / "narrow.tflite"
    quantize(wide, narrow, "int8-mixed")
    graph = FlatGraph(wide)
    shapes = [graph.constant(each.inputs[1]).shape for each in graph.operators if graph.kind(each) == "FULLY_CONNECTED"]
    found = [kind for operation, kind in module._weights(narrow) if operation == "FULLY_CONNECTED"]
    assert found == ["FLOAT16" if rows >= 4 * columns else "INT8" for rows, columns in shapes]
    assert {"FLOAT16", "INT8"} == set(found)


def test_the_float32_graph_has_float32_weights(exported_bundle):
    found = list(module._weights(exported_bundle / "litert" / "denoiser.tflite"))
    assert len(found) > 10
    assert {kind for _, kind in found} == {"FLOAT32"}
    assert {"FULLY_CONNECTED", "DEPTHWISE_CONV_2D"} <= {operation for operation, _ in found}


# --- whole numbers throughout -------------------------------------------------------------------------------


@pytest.fixture(params=[0.0, -1.0], ids=["from 0", "from -1"])
def upscaler(request, upscaler_graph):
    """A network of pictures in [0, 1] or [-1, 1], and its float32 graph."""
    return upscaler_graph(request.param)


@pytest.mark.parametrize("precision", FULL)
def test_a_full_graph_has_no_float_but_at_its_edges(precision, upscaler, tmp_path):
    network, wide = upscaler
    signature, inputs = network.signature(), arrays(network, 8)
    narrow = tmp_path / "narrow.tflite"
    quantize(wide, narrow, precision, inputs[:4], signature)
    if precision == "uint8-full":
        component = ByteEdges(LiteRTComponent(narrow, byte_signature(signature), 1), signature)
    else:
        component = LiteRTComponent(narrow, signature, 1)
    assert compare(TorchComponent(network, signature), component, inputs[4:])["upscaled"] > 38
    graph = FlatGraph(narrow)
    types = {graph.type(tensor) for operator in graph.operators for tensor in operator.outputs}
    assert types == {"INT8", "UINT8" if precision == "uint8-full" else "FLOAT32"}
    assert {kind for _, kind in module._weights(narrow)} == {"INT8"}


def test_bytes_go_in_and_come_out(upscaler, tmp_path):
    """The graph alone, as an app has it: its tensors say what bytes mean, to the half step that keeps zero exact."""
    network, wide = upscaler
    low, narrow = network.low, tmp_path / "narrow.tflite"
    quantize(wide, narrow, "uint8-full", arrays(network, 4), network.signature())
    run = Interpreter(str(narrow)).get_signature_runner()
    for details in (run.get_input_details()["image"], run.get_output_details()["upscaled"]):
        scale, zero = details["quantization"]
        assert details["dtype"] is np.uint8
        assert scale == pytest.approx((1 - low) / 255)
        assert (0 - zero) * scale == pytest.approx(low, abs=0.51 * scale)
    picture = np.random.default_rng(0).integers(0, 256, (1, 3, 8, 8), dtype=np.uint8)
    with torch.no_grad():
        wanted = network(torch.from_numpy(low + picture * (1 - low) / 255).float()).numpy()
    found = run(image=picture)["upscaled"]
    assert found.dtype == np.uint8
    assert np.abs((wanted - low) / (1 - low) * 255 - found).mean() < 2


def test_a_decoder_computes_in_whole_numbers(networks, exported_bundle, tmp_path):
    network = networks["decoder"]
    inputs = arrays(network, 6, seed=1)
    quantize(exported_bundle / "litert" / "decoder.tflite", tmp_path / "out.tflite", "int8-full", inputs[:3])
    component = LiteRTComponent(tmp_path / "out.tflite", network.signature(), 1)
    decibels = compare(TorchComponent(network, network.signature()), component, inputs[3:])
    assert decibels["image"] >= floor_of("int8-full")


def test_bytes_need_a_stated_range(networks, exported_bundle, tmp_path):
    network = networks["decoder"]
    wide, inputs = exported_bundle / "litert" / "decoder.tflite", arrays(network, 1)
    with pytest.raises(ExportError, match="uint8-full needs the signature"):
        quantize(wide, tmp_path / "out.tflite", "uint8-full", inputs)
    with pytest.raises(ExportError, match="bytes cannot stand for latent"):
        quantize(wide, tmp_path / "out.tflite", "uint8-full", inputs, network.signature())


# --- ranges of quantisation-aware training ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "static", "decibels"), [("int8-static", ("conv",), 60), ("int8-full", KINDS, 45)]
)
def test_the_graph_computes_what_the_trained_network_does(precision, static, decibels, upscaler, tmp_path):
    """Far closer than 8 bits are to float (about 40 dB); sums are not quantised in training, so full is less close."""
    network, wide = upscaler
    trained = quantized_copy(network, Quantization(static)).train()
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        trained(**network.example_inputs(generator))
    signature, inputs = network.signature(), arrays(network, 6)
    reference = TorchComponent(trained.eval(), signature)
    results = [reference(**each) for each in inputs[3:]]
    learned = learned_layers(network, restore_layers(trained))
    quantize(wide, tmp_path / "out.tflite", precision, inputs[:3], signature, learned)
    graph = LiteRTComponent(tmp_path / "out.tflite", signature, 1)
    errors = [graph(**each)["upscaled"] - result["upscaled"] for each, result in zip(inputs[3:], results, strict=True)]
    assert -10 * np.log10(np.square(errors).mean()) > decibels


# --- refusals -----------------------------------------------------------------------------------------------


def test_an_unknown_precision_is_refused(exported_bundle, tmp_path):
    with pytest.raises(ExportError, match=r"no precision 'int3'; accepted: float32, float16"):
        quantize(exported_bundle / "litert" / "decoder.tflite", tmp_path / "out.tflite", "int3")


def test_a_precision_that_needs_calibration_is_refused_without(exported_bundle, tmp_path):
    calibrated = [name for name in PRECISIONS if needs_calibration(name)]
    assert calibrated == ["int8-static", "int8-full", "uint8-full"]
    for precision in calibrated:
        with pytest.raises(ExportError, match="needs calibration"):
            quantize(exported_bundle / "litert" / "decoder.tflite", tmp_path / "out.tflite", precision)


def test_weights_that_the_quantizer_passed_over_are_a_failure(exported_bundle, tmp_path, monkeypatch):
    recipe = module._recipe
    monkeypatch.setattr(
        module,
        "_recipe",
        lambda *given: [each for each in recipe(*given) if each["operation"] != "DEPTHWISE_CONV_2D"],
    )
    with pytest.raises(ExportError, match="left the weights of a DEPTHWISE_CONV_2D in FLOAT32"):
        quantize(exported_bundle / "litert" / "denoiser.tflite", tmp_path / "out.tflite", "int8-dynamic")
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_litert_cannot_run_is_a_failure(upscaler_graph, tmp_path):
    """XNNPACK refuses scales that are too far apart; here a calibration far from the data makes them so."""
    _, wide = upscaler_graph()
    inputs = [{"image": np.full((1, 3, 8, 8), 1e30, np.float32)}]
    with pytest.raises(ExportError, match=r"LiteRT cannot run out\.tflite in int8-static: .*; choose another"):
        quantize(wide, tmp_path / "out.tflite", "int8-static", inputs)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(np.random.default_rng(0).bytes(4096))
    with pytest.raises(ExportError, match=r"broken\.tflite cannot be written in float16"):
        quantize(broken, tmp_path / "out.tflite", "float16")
