"""Every row of the table is needed: with it a construct is converted rightly, without it wrongly or not at all."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")
pytest.importorskip("coremltools")

from constructs import CONSTRUCTS, GATHERS, REFUSED, TABLES, WRONG, Constructs  # noqa: E402
from tiny_networks import examples, tiny  # noqa: E402

from mobigen.errors import ExportError  # noqa: E402
from mobigen.export import coreml, litert  # noqa: E402
from mobigen.export.decompositions import COREML, cure, decompose  # noqa: E402
from mobigen.export.program import trace  # noqa: E402
from mobigen.export.reference.executor import ReferenceComponent  # noqa: E402
from mobigen.models.autoencoder import Decoder  # noqa: E402
from mobigen.models.denoiser import Denoiser  # noqa: E402
from mobigen.models.text_encoder import TextEncoder  # noqa: E402
from mobigen.runtime.litert import LiteRTComponent  # noqa: E402

BACKENDS = tuple(TABLES)
CASES = [(backend, name) for backend in BACKENDS for name in CONSTRUCTS if CONSTRUCTS[name].row in TABLES[backend]]
TOLERANCE = {"coreml": 1e-6, "litert": 1e-5}  # of the largest magnitude; Core ML is computed in double


def fate(backend, name):
    """What becomes of a construct without its row."""
    return getattr(CONSTRUCTS[name], backend)


def named(backend, *fates):
    return [name for each, name in CASES if each == backend and fate(backend, name) in fates]


def convert(backend, network, folder):
    path = folder / {"coreml": "constructs.mlpackage", "litert": "constructs.tflite"}[backend]
    {"coreml": coreml, "litert": litert}[backend].convert(network, path)
    return path


def errors(backend, names, folder):
    """Construct -> the largest error of its graph, relative to its largest value; infinity for a NaN."""
    network = Constructs(names)
    path, signature = convert(backend, network, folder), network.signature()
    graph = ReferenceComponent(path, signature, "float64") if backend == "coreml" else LiteRTComponent(path, signature)
    x = examples(network, seed=3)["x"]
    found = graph(x=x.numpy())
    exact = backend == "coreml"
    with torch.no_grad():
        results = network.double()(x.double()) if exact else network(x)
    network.float()
    differences = {}
    for name, output, result in zip(names, signature.outputs, results, strict=True):
        difference = np.abs(found[output.name] - result.numpy()).max() / result.abs().max().item()
        differences[name] = difference if np.isfinite(difference) else np.inf
    return differences


@pytest.fixture
def without(monkeypatch):
    """Takes the rows of constructs out of a backend's table."""

    def take(backend, names):
        for row in {CONSTRUCTS[name].row for name in names}:
            monkeypatch.delitem(TABLES[backend], row, raising=False)
        coreml._decompositions.cache_clear()

    yield take
    monkeypatch.undo()
    coreml._decompositions.cache_clear()


@pytest.fixture(scope="module")
def cured(tmp_path_factory):
    """(backend, construct) -> its error, when all are converted together with the table."""
    found = {}
    for backend in BACKENDS:
        names = [name for each, name in CASES if each == backend]
        for name, error in errors(backend, names, tmp_path_factory.mktemp(backend)).items():
            found[backend, name] = error
    return found


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_row_has_a_construct_that_needs_it(backend):
    needed = {CONSTRUCTS[name].row for name in named(backend, WRONG, REFUSED, GATHERS)}
    assert needed == set(TABLES[backend])


@pytest.mark.parametrize(("backend", "name"), CASES)
def test_a_construct_is_right_with_the_table(backend, name, cured):
    assert cured[backend, name] <= TOLERANCE[backend]


@pytest.mark.parametrize("backend", BACKENDS)
def test_constructs_are_wrong_without_it(backend, without, tmp_path):
    names = named(backend, WRONG)
    without(backend, names)
    found = errors(backend, names, tmp_path)
    assert {name: error for name, error in found.items() if error <= 10 * TOLERANCE[backend]} == {}


@pytest.mark.parametrize(
    ("backend", "name"),
    [("coreml", name) for name in named("coreml", REFUSED)]
    + [("litert", name) for name in ("x + alpha y", "smooth bicubic", "transposed", "sort")],  # one of each kind: slow
)
def test_a_construct_is_refused_without_it(backend, name, without, tmp_path):
    assert fate(backend, name) == REFUSED
    without(backend, [name])
    with pytest.raises(ExportError, match="constructs"):
        convert(backend, Constructs([name]), tmp_path)


@pytest.mark.parametrize("name", named("coreml", GATHERS))
def test_resizing_takes_gathers_without_it(name):
    row = CONSTRUCTS[name].row
    apart = {row: torch.export.default_decompositions()[row]}  # as a converter does that has no such operation
    program = trace(Constructs([name]))
    kinds = [str(node.target) for node in decompose(program, apart).graph.nodes]
    assert sum("index" in kind for kind in kinds) >= 8
    kinds = [str(node.target) for node in decompose(cure(program, COREML), apart).graph.nodes]
    assert not any("index" in kind for kind in kinds)


@pytest.mark.parametrize("kind", [TextEncoder, Denoiser, Decoder])
def test_what_needs_no_cure_stays_the_same_graph(kind):
    program = trace(tiny(kind, depth=1))
    assert cure(program, TABLES["litert"]) is program
    decomposed = decompose(program, {})
    assert cure(decomposed, TABLES["coreml"]) is decomposed
