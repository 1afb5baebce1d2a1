"""Every field of metadata.json is checked, and a complaint names it."""

import copy
import json

import pytest

import mobigen
from mobigen.errors import BundleError
from mobigen.metadata import read_metadata
from mobigen.settings import NetworksSettings


@pytest.fixture
def values(exported_bundle):
    return json.loads((exported_bundle / "metadata.json").read_text())


def change(values, path, value):
    """A copy with one field replaced, or removed where value is ..."""
    changed = copy.deepcopy(values)
    *parents, last = path.split("/")
    place = changed
    for parent in parents:
        place = place[int(parent) if isinstance(place, list) else parent]
    if value is ...:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return changed


def test_a_good_file_is_read_as_it_stands(values):
    metadata = read_metadata(values, "metadata.json")
    assert (metadata.name, metadata.task) == ("sticker", "text-to-image")
    assert metadata.version == mobigen.__version__
    assert metadata.settings.sampler.times[2] == (1.0, 0.75, 0.0)
    assert metadata.settings.styles == ("3d", "flat", "noto")
    denoiser = metadata.components["denoiser"]
    assert [spec.name for spec in denoiser.signature.inputs] == [
        *("latent", "time", "text_states", "text_mask", "style", "until")
    ]
    assert denoiser.signature.inputs[1].high == 1.0
    assert denoiser.backends["litert"].file == "litert/denoiser.tflite"


def test_unknown_fields_are_left_alone(values):
    assert read_metadata(change(values, "remark", "from a later version"), "metadata.json")


GRAPH = "components/denoiser/backends/litert"
BROKEN = [
    ("name", ...),
    ("name", 3),
    ("task", "text-to-soup"),
    ("schema_version", True),
    ("schema_version", "1"),
    ("components", {}),
    ("components", []),
    ("components/denoiser", None),
    ("components/denoiser/backends", {}),
    ("components/denoiser/inputs", []),
    ("components/denoiser/inputs/0/shape", [1, "a"]),
    ("components/denoiser/inputs/0/shape", [1, 2.5]),
    ("components/denoiser/inputs/0/shape", []),
    ("components/denoiser/inputs/0/dtype", "complex64"),
    ("components/denoiser/inputs/0/range", [0]),
    ("components/denoiser/outputs/0/name", "latent"),
    (f"{GRAPH}/file", "../../secret.tflite"),
    (f"{GRAPH}/file", "/secret.tflite"),
    (f"{GRAPH}/file", "C:secret.tflite"),
    (f"{GRAPH}/file", ""),
    (f"{GRAPH}/bytes", 0),
    (f"{GRAPH}/bytes", "12"),
    (f"{GRAPH}/sha256", ...),
    (f"{GRAPH}/parity_db", "good"),
    ("pipeline", ...),
    ("pipeline/styles", []),
    ("pipeline/styles", ["3d", 7]),
    ("pipeline/default_style", "baroque"),
    ("pipeline/default_steps", 3),
    ("pipeline/max_tokens", -1),
    ("pipeline/sampler/kind", "magic"),
    ("pipeline/sampler/times", {}),
    ("pipeline/sampler/times", {"four": [1.0]}),
    ("pipeline/sampler/times/2", [1.0]),
    ("pipeline/sampler/times/2", [0.5, 1.0]),
    ("pipeline/sampler/times/2", [1.0, 0.0]),
    ("pipeline/sampler/times/2", [0.9, 0.5]),
    ("pipeline/sampler/times/2", ["1.0", "0.5"]),
    ("pipeline/sampler/times/2", [1.0, float("nan")]),
    ("files", ...),
    ("files/tokenizer", ...),
    ("files/tokenizer/file", ...),
    ("files/tokenizer/sha256", 5),
    ("components/denoiser/sizes", {}),
    ("components/denoiser/sizes", {"size_8": {"inputs": [], "outputs": []}}),
    ("credits", [{"name": "x"}]),
    ("converters/litert-torch", 0.1),
    ("weights_sha256", None),
]


@pytest.mark.parametrize(("path", "value"), BROKEN)
def test_a_bad_field_is_refused_by_name_in_one_line(values, path, value):
    with pytest.raises(BundleError) as caught:
        read_metadata(change(values, path, value), "metadata.json")
    message = str(caught.value)
    assert "\n" not in message
    assert any(part in message for part in path.split("/")[-2:])


def test_another_schema_version_says_what_to_do(values):
    with pytest.raises(BundleError, match=r"schema version 1.*reads 2.*install"):
        read_metadata(change(values, "schema_version", 1), "metadata.json")


def test_sizes_of_a_graph_hold_the_components_own(values):
    own = {key: values["components"]["decoder"][key] for key in ("inputs", "outputs")}
    larger = copy.deepcopy(own)
    larger["inputs"][0]["shape"][-2:] = [8, 8]
    read = read_metadata(change(values, "components/decoder/sizes", {"size_64": own, "size_128": larger}), "")
    decoder = read.components["decoder"]
    assert decoder.sizes["size_64"] == decoder.signature
    assert decoder.sizes["size_128"].inputs[0].shape == (1, 4, 8, 8)
    with pytest.raises(BundleError, match="sizes do not hold the component's own"):
        read_metadata(change(values, "components/decoder/sizes", {"size_128": larger}), "")


def test_bare_networks_need_no_pipeline(values):
    values = change(change(change(values, "pipeline", {}), "files", {}), "task", "networks")
    assert read_metadata(values, "").settings == NetworksSettings()


@pytest.mark.parametrize("whole", [None, [], "text", 3])
def test_something_else_than_an_object_is_refused(whole):
    with pytest.raises(BundleError, match="not a JSON object"):
        read_metadata(whole, "metadata.json")


def test_euler_wants_one_time_more_than_steps(values):
    sampler = {"kind": "euler", "times": {"4": [1.0, 0.75, 0.5, 0.25, 0.0]}}
    assert list(read_metadata(change(values, "pipeline/sampler", sampler), "").settings.sampler.times) == [4]
    sampler["times"]["4"].pop()
    with pytest.raises(BundleError, match="descending times"):
        read_metadata(change(values, "pipeline/sampler", sampler), "")
