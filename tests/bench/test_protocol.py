"""The protocol on the tiny bundle: fresh processes, a record, and errors that come through."""

import json
import subprocess
import sys
from dataclasses import asdict

import pytest

from mobigen.bench import protocol
from mobigen.bench.protocol import bench, run_job
from mobigen.bench.record import SCHEMA_VERSION, write_record
from mobigen.bench.worker import CheckedBundle, Job, measure
from mobigen.bundle import load_bundle
from mobigen.bundle import measure as size_and_sha256
from mobigen.errors import BundleError, InputError, MobigenError


@pytest.fixture(scope="module")
def bundle(exported_bundle):
    return load_bundle(exported_bundle)


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def record(bundle, told):
    return bench(bundle, threads=1, runs=20, tell=told.append)


def test_components_and_the_pipeline_are_measured(record, told):
    assert list(record.components) == ["text_encoder", "denoiser", "decoder"]
    assert told == [*record.components, "the pipeline: a picture"]
    for each in (*record.components.values(), record.pipeline):
        assert each["load_ms"] > 0
        assert 0 < each["median_run_ms"] <= each["p90_run_ms"]
        assert each["first_run_ms"] > 0
        assert each["sustained"] is None
    assert record.pipeline["median_run_ms"] > record.components["denoiser"]["median_run_ms"]  # it calls it four times
    assert (record.components["decoder"]["what"], record.pipeline["what"]) == ("random inputs", "a picture")


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell, or cannot be asked")
def test_memory_is_the_measuring_processes_own(record):
    for each in (*record.components.values(), record.pipeline):
        assert each["cold"]
        assert 10e6 < each["baseline_bytes"] < each["peak_bytes"] < 400e6
        assert each["increase_bytes"] == each["peak_bytes"] - each["baseline_bytes"]


def test_a_record_says_what_was_measured_on_what_and_when(record, exported_bundle):
    assert record.schema_version == SCHEMA_VERSION
    assert record.date.startswith("20")
    assert record.machine["cores"] >= 1
    assert set(record.versions) == {"mobigen", "python", "ai-edge-litert", "numpy"}
    assert (record.backend, record.threads, record.runs) == ("litert", 1, 20)
    assert record.bundle["name"] == "sticker"
    graph = record.bundle["graphs"]["denoiser"]
    assert (graph["bytes"], graph["sha256"]) == size_and_sha256(exported_bundle / graph["file"])
    assert graph["precision"] == "float32"


def test_a_record_is_written_whole(record, tmp_path):
    write_record(record, tmp_path / "deep" / "record.json")
    assert json.loads((tmp_path / "deep" / "record.json").read_text()) == json.loads(json.dumps(asdict(record)))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["record.json"]


def test_a_part_alone_has_no_pipeline(bundle):
    record = bench(bundle, threads=1, runs=20, minutes=0.001, components=["decoder"])
    assert (list(record.components), record.pipeline) == (["decoder"], None)
    sustained = record.components["decoder"]["sustained"]
    assert sustained["minutes"] == 0.001
    assert len(sustained["window_ms"]) == 1
    assert sustained["runs"] > 1


def test_the_networks_themselves(bundle, tiny_weights, tmp_path, monkeypatch):
    (tmp_path / "sticker").symlink_to(tiny_weights)
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tmp_path))
    found = measure(Job(str(bundle.folder), "decoder", "torch", 1, 20, None))
    assert found.median_run_ms > 0
    assert not found.cold  # weights were not asked to leave the cache


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"runs": 19}, "runs is 19; accepted: at least 20"),
        ({"backend": "abacus"}, "accepted: litert, coreml, torch"),
        ({"components": ["ear"]}, "no component ear; its components: text_encoder, denoiser, decoder"),
    ],
)
def test_what_is_not_accepted(bundle, options, complaint):
    with pytest.raises(InputError, match=complaint):
        bench(bundle, **options)


def test_an_error_in_the_measuring_process_is_the_same_here(bundle_folder):
    graph = bundle_folder / "litert" / "decoder.tflite"
    graph.write_bytes(graph.read_bytes()[:-1] + b"!")
    with pytest.raises(BundleError, match="has sha256"):
        run_job(Job(str(bundle_folder), "decoder", "litert", 1, 20, None))


def test_a_process_that_dies_is_told(bundle, tmp_path, monkeypatch):
    script = tmp_path / "python"
    monkeypatch.setattr(protocol.sys, "executable", str(script))
    for line, complaint in (
        ("kill -9 $$", "measuring decoder failed: its process was ended by SIGKILL; is there memory enough"),
        ("echo half >&2; exit 3", "measuring decoder failed: half"),
        ("exit 3", "its process ended with 3"),
    ):
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)
        with pytest.raises(MobigenError, match=complaint):
            run_job(Job(str(bundle.folder), "decoder", "litert", 1, 20, None))


def test_a_checked_bundle_is_not_read_again(bundle_folder):
    graph = bundle_folder / "litert" / "decoder.tflite"
    graph.write_bytes(graph.read_bytes()[:-1] + b"!")
    bundle = load_bundle(bundle_folder)
    assert CheckedBundle(bundle.folder, bundle.metadata).graph("decoder", "litert") == graph


def test_measuring_needs_no_torch():
    program = "import mobigen.bench.android, mobigen.bench.worker, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"
