"""The LiteRT backend on the tiny exported graphs."""

import json
import os

import numpy as np
import pytest

from mobigen.bundle import load_bundle, measure
from mobigen.errors import BundleError, InputError
from mobigen.runtime import load_component
from mobigen.runtime.litert import LiteRTComponent
from mobigen.signature import Signature, TensorSpec


@pytest.fixture
def bundle(exported_bundle):
    return load_bundle(exported_bundle)


def test_a_component_gives_its_outputs_by_name(bundle):
    encoder = load_component(bundle, "text_encoder")
    ids = np.array([[2, 5, 0, 0, 0, 0, 0, 0]], np.int32)
    outputs = encoder(token_ids=ids)
    assert list(outputs) == ["text_states", "text_mask"]
    assert outputs["text_states"].shape == (1, 8, 16)
    np.testing.assert_array_equal(outputs["text_mask"], ids != 0)


def test_results_stay_when_the_component_runs_again(bundle):
    decoder = load_component(bundle, "decoder")
    first = decoder(latent=np.zeros((1, 4, 4, 4), np.float32))["image"]
    copy = first.copy()
    decoder(latent=np.ones((1, 4, 4, 4), np.float32))
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_the_result(bundle, threads):
    latent = np.random.default_rng(0).normal(size=(1, 4, 4, 4)).astype(np.float32)
    alone = load_component(bundle, "decoder", threads=1)(latent=latent)["image"]
    np.testing.assert_array_equal(load_component(bundle, "decoder", threads=threads)(latent=latent)["image"], alone)


def test_inputs_are_checked(bundle):
    with pytest.raises(InputError, match="latent is float64"):
        load_component(bundle, "decoder")(latent=np.zeros((1, 4, 4, 4)))


def test_nothing_is_printed_and_stderr_comes_back(bundle, capfd):
    load_component(bundle, "decoder")(latent=np.zeros((1, 4, 4, 4), np.float32))
    os.write(2, b"still here")
    captured = capfd.readouterr()
    assert captured.err == "still here"
    assert captured.out == ""


@pytest.mark.parametrize("content", [b"", b"TFL3", b"x" * 10_000])
def test_a_file_that_is_no_graph_is_refused_and_stderr_comes_back(tmp_path, capfd, content):
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    signature = Signature("x", (TensorSpec("a", (1,)),), (TensorSpec("b", (1,)),))
    with pytest.raises(BundleError, match="not a graph that LiteRT can run") as caught:
        LiteRTComponent(path, signature)
    assert "\n" not in str(caught.value)
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_a_truncated_graph_with_matching_metadata_is_refused(bundle_folder):
    """Whoever cuts a file and mends the metadata still gets an error, not a crash."""
    graph = bundle_folder / "litert" / "denoiser.tflite"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    path = bundle_folder / "metadata.json"
    values = json.loads(path.read_text())
    record = values["components"]["denoiser"]["backends"]["litert"]
    record["bytes"], record["sha256"] = measure(graph)
    path.write_text(json.dumps(values))
    with pytest.raises(BundleError, match="not a graph"):
        load_component(load_bundle(bundle_folder), "denoiser")


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": (TensorSpec("latents", (1, 4, 4, 4)),)},
        {"inputs": (TensorSpec("latent", (1, 4, 8, 8)),)},
        {"inputs": (TensorSpec("latent", (1, 4, 4, 4), "int32"),)},
        {"outputs": (TensorSpec("image", (1, 3, 64, 64)),)},
    ],
)
def test_a_graph_with_other_tensors_is_refused(bundle, change):
    signature = bundle.signature("decoder")
    other = Signature(**({"component": "decoder", "inputs": signature.inputs, "outputs": signature.outputs} | change))
    with pytest.raises(BundleError, match="metadata says"):
        LiteRTComponent(bundle.graph("decoder", "litert"), other)
