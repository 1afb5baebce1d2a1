"""The engine writes a whole bundle that is proven, or leaves everything as it was."""

import copy
import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

import tiny_bundle as tiny  # noqa: E402

import mobigen  # noqa: E402
from mobigen.bundle import load_bundle, measure  # noqa: E402
from mobigen.errors import ExportError, InputError, ParityError, WeightsError  # noqa: E402
from mobigen.export import engine, parity, source  # noqa: E402
from mobigen.export.quantize import PRECISIONS  # noqa: E402
from mobigen.models.text_encoder import TextEncoder  # noqa: E402
from mobigen.registry import MODELS  # noqa: E402
from mobigen.runtime.torch import NETWORKS  # noqa: E402


@pytest.fixture
def ready(monkeypatch, exported_bundle):
    """Conversion replaced by a copy of the graphs that are there: for tests of what comes around it."""

    def copied(network, path, precision, calibration=()):
        shutil.copyfile(exported_bundle / "litert" / path.name, path)

    monkeypatch.setattr(engine, "convert_to", copied)


@pytest.fixture
def weights(tiny_weights, tmp_path):
    """A copy of the weights that a test may damage."""
    return shutil.copytree(tiny_weights, tmp_path / "weights")


def export(weights, out):
    return engine.export_model("sticker", weights, out, tiny.FLOAT32)


def test_every_model_has_a_plan():
    assert set(engine.PLANS) == set(MODELS)
    for plan in engine.PLANS.values():
        assert set(plan) <= set(NETWORKS)
        assert set(plan.values()) <= set(PRECISIONS)


def test_a_bundle_says_what_it_holds(exported_bundle, tiny_weights):
    metadata = load_bundle(exported_bundle).metadata
    assert metadata.name == "sticker"
    assert set(metadata.components) == set(NETWORKS)
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
    assert {"model", "date", "machine", "converters", "bytes", "graphs", "pictures_db"} == set(report)
    assert len(report["pictures_db"]) == len(engine.PARITY_PROMPTS)
    assert min(report["pictures_db"]) > 80
    assert report["converters"]["litert-torch"]
    assert report["machine"]["cores"] >= 1
    assert report["bytes"] == sum(path.stat().st_size for path in (exported_bundle / "litert").iterdir())
    steps = tiny.PIPELINE["default_steps"]
    for graph in report["graphs"]:
        assert graph["timing"]["threads"] == engine.THREADS
        assert all(graph["timing"][key] > 0 for key in ("load_ms", "first_run_ms", "median_run_ms"))
        assert graph["samples"] == len(engine.PARITY_PROMPTS) * (steps if graph["component"] == "denoiser" else 1)
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
    out = engine.export_model("sticker", tiny_weights, tmp_path / "sticker", plan)
    components = load_bundle(out).metadata.components
    for name, component in components.items():
        graph = component.backends["litert"]
        assert graph.precision == plan[name]
        assert parity.floor_of(plan[name]) <= graph.parity_db < 90
        assert graph.bytes < (exported_bundle / graph.file).stat().st_size
    assert mobigen.load(out)("a red fox", seed=3).images[0].size == (64, 64)


def test_the_same_weights_have_the_same_hash_and_others_another(weights, tmp_path, exported_bundle, ready):
    first = load_bundle(export(weights, tmp_path / "a")).metadata.weights_sha256
    assert first == load_bundle(exported_bundle).metadata.weights_sha256
    (weights / "decoder" / "README.md").write_text("a card is not a weight")
    assert load_bundle(export(weights, tmp_path / "b")).metadata.weights_sha256 == first
    config = weights / "decoder" / "config.json"
    config.write_text(config.read_text() + " ")
    assert load_bundle(export(weights, tmp_path / "c")).metadata.weights_sha256 != first


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

    def damaged(name, folder):
        network = load(name, folder)
        if name == component:
            values = copy.deepcopy(network.state_dict())
            values[weight] = values[weight].roll(1, 0)  # as a wrong permutation would
            network.load_state_dict(values)
        return network

    monkeypatch.setattr(source, "load_network", damaged)
    with pytest.raises(ParityError, match=component):
        export(tiny_weights, tmp_path / "sticker")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", ["convert_to", "check_parity", "compare_pictures", "write_report", "load_bundle"])
@pytest.mark.parametrize("accident", [KeyboardInterrupt, OSError(28, "No space left on device"), ExportError("no")])
def test_an_interrupted_export_leaves_the_old_bundle(moment, accident, bundle_folder, tiny_weights, ready, monkeypatch):
    before = measure(bundle_folder)
    real = getattr(engine, moment)
    calls = []

    def interrupted(*arguments, **options):
        calls.append(moment)
        if len(calls) == 2 or moment not in ("convert_to", "check_parity"):
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
    assert {path.stem for path in (bundle_folder / "litert").iterdir()} == set(NETWORKS)
    assert list(bundle_folder.parent.iterdir()) == [bundle_folder]


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path, tiny_weights, ready):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="is not a bundle"):
        export(tiny_weights, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_unknown_names_are_refused(tiny_weights, tmp_path):
    with pytest.raises(InputError, match="no model named 'stickers'"):
        engine.export_model("stickers", tiny_weights, tmp_path / "x")
    with pytest.raises(ExportError, match="no component encoder"):
        engine.export_model("sticker", tiny_weights, tmp_path / "x", {"encoder": "float32"})
    with pytest.raises(ExportError, match="no precision 'int8'"):
        engine.export_model("sticker", tiny_weights, tmp_path / "x", {"decoder": "int8"})


@pytest.mark.parametrize("name", ["pipeline.json", "credits.json", "tokenizer.json", "denoiser"])
def test_missing_weights_are_named(name, weights, tmp_path):
    path = weights / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(WeightsError, match=name):
        export(weights, tmp_path / "x")


def test_files_that_are_not_json_are_named(weights, tmp_path):
    for text in ("{", "[]"):
        (weights / "pipeline.json").write_text(text)
        with pytest.raises(WeightsError, match=r"pipeline\.json"):
            export(weights, tmp_path / "x")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("default_style", "cubist", "default_style is 'cubist'"),
        ("default_steps", 3, "default_steps is 3"),
        ("sampler", {"kind": "few_step", "times": {"4": [1.0, 0.5]}}, "sampler: times: 4"),
        ("max_tokens", 24, r"token_ids of text_encoder to be \(1, 24\)"),
        ("styles", ["3d", "flat"], r"style of denoiser to be \(1, 2\)"),
        ("image_size", 256, r"image of decoder to be \(1, 4, 256, 256\)"),
    ],
)
def test_pipeline_constants_that_cannot_work_are_refused(key, value, message, weights, tmp_path):
    (weights / "pipeline.json").write_text(json.dumps(tiny.PIPELINE | {key: value}))
    with pytest.raises(ExportError, match=message):
        export(weights, tmp_path / "x")


def test_credits_without_a_licence_are_refused(weights, tmp_path):
    (weights / "credits.json").write_text(json.dumps({"licence": "MIT", "credits": [{"name": "somebody"}]}))
    with pytest.raises(ExportError, match=r"credits\[0\]: licence is missing"):
        export(weights, tmp_path / "x")


def test_a_tokenizer_of_another_model_is_refused(weights, tmp_path):
    small = TextEncoder(vocabulary=40, tokens=tiny.TOKENS, embedding_dim=8, dim=16, depth=1, heads=2)
    small.eval().save_pretrained(weights / "text_encoder")
    with pytest.raises(ExportError, match="the text encoder knows 40"):
        export(weights, tmp_path / "x")
    (weights / "tokenizer.json").write_text("{}")
    with pytest.raises(ExportError, match="is not a tokenizer"):
        export(weights, tmp_path / "x")
