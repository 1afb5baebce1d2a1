"""The engine writes a whole bundle that is proven, or leaves everything as it was."""

import copy
import json
import shutil
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

import tiny_bundle as tiny  # noqa: E402
from tiny_networks import examples, results  # noqa: E402

import mobigen  # noqa: E402
from mobigen.bundle import load_bundle, measure  # noqa: E402
from mobigen.errors import ConfigError, ExportError, ParityError  # noqa: E402
from mobigen.export import engine, parity, source  # noqa: E402
from mobigen.export.backends import THREADS, LiteRTBackend  # noqa: E402
from mobigen.export.reference.executor import ReferenceComponent  # noqa: E402
from mobigen.export.source import read_source  # noqa: E402
from mobigen.export.tasks.text_to_image import PARITY_PROMPTS  # noqa: E402
from mobigen.runtime.litert import LiteRTComponent  # noqa: E402

COMPONENTS = set(tiny.JOINED["components"])


@pytest.fixture
def ready(monkeypatch, exported_bundle):
    """Conversion replaced by a copy of the graphs that are there: for tests of what comes around it."""

    def copied(self, part, target, precision, calibration, scratch):
        shutil.copyfile(exported_bundle / "litert" / target.name, target)

    monkeypatch.setattr(LiteRTBackend, "convert", copied)


def export(weights, out, **options):
    return engine.export_model(read_source("sticker", weights), out, {"litert": tiny.FLOAT32}, **options)


def test_a_bundle_says_what_it_holds(exported_bundle, tiny_weights):
    metadata = load_bundle(exported_bundle).metadata
    assert metadata.name == "sticker"
    assert set(metadata.components) == COMPONENTS
    for name, component in metadata.components.items():
        graph = component.backends["litert"]
        assert measure(exported_bundle / graph.file) == (graph.bytes, graph.sha256)
        assert graph.precision == "float32"
        assert graph.parity_db > 80
        assert component.signature.component == name
    assert metadata.credits[0].name == tiny.CREDITS["credits"][0]["name"]
    assert json.loads((exported_bundle / "metadata.json").read_text())["pipeline"] == tiny.PIPELINE
    assert (exported_bundle / "tokenizer.json").read_bytes() == (tiny_weights / "tokenizer.json").read_bytes()
    assert {path.name for path in exported_bundle.iterdir()} == {
        *("metadata.json", "report.json", "tokenizer.json", "litert")
    }
    assert {path.suffix for path in (exported_bundle / "litert").iterdir()} == {".tflite"}


def test_the_report_has_what_was_measured(exported_bundle):
    report = json.loads((exported_bundle / "report.json").read_text())
    assert {"model", "task", "date", "machine", "converters", "backends"} == set(report)
    assert report["converters"]["litert-torch"]
    assert report["machine"]["cores"] >= 1
    (litert,) = report["backends"].values()
    steps = tiny.PIPELINE["default_steps"]
    assert len(litert["steps_db"]) == steps
    assert len(litert["results_db"]) == len(PARITY_PROMPTS)
    assert min(litert["steps_db"]) > 80
    assert min(litert["results_db"]) > 50  # of bytes: one may be rounded the other way
    assert litert["bytes"] == sum(path.stat().st_size for path in (exported_bundle / "litert").iterdir())
    for graph in litert["graphs"]:
        assert graph["timing"]["threads"] == THREADS
        assert all(graph["timing"][key] > 0 for key in ("load_ms", "first_run_ms", "median_run_ms"))
        assert graph["export_seconds"] > 0
        assert graph["samples"] == len(PARITY_PROMPTS) * (steps if graph["component"] == "denoiser" else 1)
        assert set(graph["parity_db"]) == {
            spec.name for spec in load_bundle(exported_bundle).signature(graph["component"]).outputs
        }


def test_both_backends_draw_the_same_picture(exported_bundle, tiny_weights, monkeypatch):
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tiny_weights.parent))
    monkeypatch.setattr(
        "mobigen.runtime.torch.find_weights", lambda model, component, weights=None: tiny_weights / component
    )
    pictures = [
        mobigen.load(exported_bundle, backend=backend)("a red fox", seed=3, output_type="np").images[0]
        for backend in ("litert", "torch")
    ]
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() <= 1


def test_a_bundle_of_many_precisions_is_smaller_and_within_its_floors(exported_bundle, tiny_weights, tmp_path):
    plan = {"text_encoder": "int8-static", "denoiser": "float16", "decoder": "int8-dynamic"}
    out = engine.export_model(read_source("sticker", tiny_weights), tmp_path / "sticker", {"litert": plan})
    components = load_bundle(out).metadata.components
    for name, component in components.items():
        graph = component.backends["litert"]
        assert graph.precision == plan[name]
        assert parity.floor_of(plan[name]) <= graph.parity_db < 90
        assert graph.bytes < (exported_bundle / graph.file).stat().st_size
    assert mobigen.load(out)("a red fox", seed=3).images[0].size == (64, 64)


def test_a_part_of_a_model_is_a_bundle_of_bare_networks(tiny_weights, tmp_path, ready):
    source = read_source("half", tiny_weights, ["decoder"])
    out = engine.export_model(source, tmp_path / "half", {"litert": {"decoder": "float32"}})
    bundle = load_bundle(out)
    assert (bundle.metadata.task, set(bundle.metadata.components)) == ("networks", {"decoder"})
    report = json.loads((out / "report.json").read_text())["backends"]["litert"]
    assert (report["steps_db"], report["results_db"]) == ([], [])
    assert {path.name for path in out.iterdir()} == {"metadata.json", "report.json", "litert"}


def test_the_work_is_told_as_it_goes(tiny_weights, tmp_path, ready):
    lines = []
    export(tiny_weights, tmp_path / "sticker", tell=lines.append)
    assert lines[0] == "running the networks on real inputs"
    assert "litert: denoiser in float32" in lines
    assert lines[-1] == "litert: the whole pipeline"


# --- refusals -----------------------------------------------------------------------------------------------


def test_failed_parity_leaves_no_bundle(tiny_weights, tmp_path, ready, monkeypatch):
    monkeypatch.setitem(parity.FLOORS, "float32", 1000.0)
    with pytest.raises(ParityError, match="text_encoder in float32"):
        export(tiny_weights, tmp_path / "export" / "sticker")
    assert list((tmp_path / "export").iterdir()) == []


@pytest.mark.parametrize(
    ("component", "weight"),
    [
        ("denoiser", "blocks.0.cross_attention.value.weight"),
        ("denoiser", "time.perceptron.2.weight"),
        ("decoder", "ups.1.conv.weight"),
        ("text_encoder", "blocks.0.perceptron.1.weight"),
    ],
)
def test_a_planted_weight_error_is_caught(component, weight, tiny_weights, tmp_path, ready, monkeypatch):
    """The graphs were made from other weights than those that lie in the folder."""
    load = source.load_network

    def damaged(folder):
        network = load(folder)
        if folder.name == component:
            values = copy.deepcopy(network.state_dict())
            values[weight] = values[weight].roll(1, 0)  # as a wrong permutation would
            network.load_state_dict(values)
        return network

    monkeypatch.setattr(source, "load_network", damaged)
    with pytest.raises(ParityError, match=component):
        export(tiny_weights, tmp_path / "sticker")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["make_graph", "compare_trails", "write_report", "load_bundle"])
@pytest.mark.parametrize("accident", [KeyboardInterrupt, OSError(28, "No space left on device"), ExportError("no")])
def test_an_interrupted_export_leaves_the_old_bundle(moment, accident, bundle_folder, tiny_weights, ready, monkeypatch):
    before = measure(bundle_folder)
    real = getattr(engine, moment)
    calls = []

    def interrupted(*arguments, **options):
        calls.append(moment)
        if len(calls) == 2 or moment != "make_graph":
            raise accident
        return real(*arguments, **options)

    monkeypatch.setattr(engine, moment, interrupted)
    with pytest.raises(accident if isinstance(accident, type) else type(accident)):
        export(tiny_weights, bundle_folder)
    assert measure(bundle_folder) == before
    assert list(bundle_folder.parent.iterdir()) == [bundle_folder]


def test_a_good_export_replaces_the_old_bundle(bundle_folder, tiny_weights, ready):
    (bundle_folder / "litert" / "stale.tflite").write_bytes(b"from an older model")
    export(tiny_weights, bundle_folder)
    assert {path.stem for path in (bundle_folder / "litert").iterdir()} == COMPONENTS
    assert list(bundle_folder.parent.iterdir()) == [bundle_folder]


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path, tiny_weights, ready):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="is not a bundle"):
        export(tiny_weights, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_graphs_for_another_backend_are_not_lost_unasked(bundle_folder, tiny_weights, ready):
    path = bundle_folder / "metadata.json"
    values = json.loads(path.read_text())
    values["components"]["decoder"]["backends"]["coreml"] = values["components"]["decoder"]["backends"]["litert"]
    path.write_text(json.dumps(values))
    before = measure(bundle_folder)
    with pytest.raises(ExportError, match="has graphs for coreml too"):
        export(tiny_weights, bundle_folder)
    assert measure(bundle_folder) == before
    export(tiny_weights, bundle_folder, overwrite=True)
    assert "coreml" not in load_bundle(bundle_folder).metadata.components["decoder"].backends


@pytest.mark.parametrize("content", ["{", "[]", '{"components": 3}', '{"components": {"a": []}}'])
def test_a_damaged_bundle_may_be_replaced(bundle_folder, tiny_weights, ready, content):
    (bundle_folder / "metadata.json").write_text(content)
    export(tiny_weights, bundle_folder)
    assert load_bundle(bundle_folder).metadata.name == "sticker"


def test_a_network_of_one_size_has_no_other(tiny_weights, tmp_path):
    with pytest.raises(ConfigError, match="text_encoder is made for one size"):
        export(tiny_weights, tmp_path / "sticker", sizes={"text_encoder": [3]})
    assert list(tmp_path.iterdir()) == []


def test_one_graph_serves_several_sizes_on_both_runtimes(tiny_weights, tmp_path):
    source = read_source("polished", tiny_weights / "decoder")
    plan = {"litert": {"decoder": "float32"}, "coreml": {"decoder": "float16"}}
    bundle = load_bundle(engine.export_model(source, tmp_path / "polished", plan, sizes={"decoder": [32, 64]}))
    decoder = bundle.metadata.components["decoder"]
    assert {name: each.outputs[0].shape[-1] for name, each in decoder.sizes.items()} == {"size_64": 64, "size_32": 32}
    assert bundle.function("decoder") == "size_64"  # the network's own
    network = source.networks["decoder"].at_size(32)
    inputs = {name: each.numpy() for name, each in examples(network).items()}
    wanted = results(network, examples(network))[0].numpy()
    small = decoder.sizes["size_32"]
    litert = LiteRTComponent(bundle.graph("decoder", "litert"), small, 1, "size_32")
    np.testing.assert_allclose(litert(**inputs)["image"], wanted, atol=1e-4 * np.abs(wanted).max())
    coreml = ReferenceComponent(bundle.graph("decoder", "coreml"), small, "float16", "size_32")
    np.testing.assert_allclose(coreml(**inputs)["image"], wanted, atol=1e-2 * np.abs(wanted).max())
    report = json.loads((bundle.folder / "report.json").read_text())["backends"]
    assert report["coreml"]["graphs"][0]["meaning_error"] < 1e-6
    assert report["coreml"]["graphs"][0]["timing"] is None or sys.platform == "darwin"
