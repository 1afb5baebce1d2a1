"""Whole pictures: what each graph may lose alone is judged together."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("litert_torch")

from mobigen.bundle import load_bundle  # noqa: E402
from mobigen.errors import ParityError  # noqa: E402
from mobigen.export.parity import CEILING  # noqa: E402
from mobigen.export.pictures import check_pictures, compare_pictures  # noqa: E402
from mobigen.export.source import read_source  # noqa: E402
from mobigen.runtime.litert import LiteRTComponent  # noqa: E402
from mobigen.runtime.torch import NETWORKS  # noqa: E402

PROMPTS = ["a fox", "red car"]


@pytest.fixture(scope="module")
def source(tiny_weights):
    return read_source("sticker", tiny_weights, NETWORKS)


@pytest.fixture(scope="module")
def graphs(exported_bundle):
    bundle = load_bundle(exported_bundle)
    return {name: LiteRTComponent(bundle.graph(name, "litert"), bundle.signature(name), 1) for name in NETWORKS}


def test_the_graphs_draw_what_the_networks_draw(source, graphs):
    decibels = compare_pictures(source, source.components(), graphs, PROMPTS)
    assert len(decibels) == len(PROMPTS)
    assert min(decibels) > 80


class Altered:
    """A component whose output is changed by a function."""

    def __init__(self, component, change):
        self.component, self.change, self.signature = component, change, component.signature

    def __call__(self, **inputs):
        return {name: self.change(values) for name, values in self.component(**inputs).items()}


def test_an_error_in_the_denoiser_reaches_the_picture(source, graphs):
    wrong = graphs | {"denoiser": Altered(graphs["denoiser"], lambda velocity: velocity * 1.1)}
    assert max(compare_pictures(source, source.components(), wrong, PROMPTS)) < 60


def test_what_cannot_be_seen_does_not_count(source):
    def decoder(colour, alpha):
        def change(image):
            image = np.full_like(image, colour)
            image[:, 3] = alpha
            return image

        return source.components() | {"decoder": Altered(source.components()["decoder"], change)}

    def compare(first, second):
        return compare_pictures(source, decoder(*first), decoder(*second), PROMPTS[:1])[0]

    assert compare((0.5, 1.0), (0.5, 1.7)) == CEILING  # beyond the range
    assert compare((0.5, -1.0), (-0.5, -1.0)) == CEILING  # colour where nothing is drawn
    # alpha 1 in both; colour 0.75 and 0.25 of 1: the squared error is 3/4 of 0.5 squared
    assert compare((0.5, 1.0), (-0.5, 1.0)) == pytest.approx(-10 * np.log10(0.75 * 0.25), abs=1e-4)


def test_the_worst_picture_decides():
    check_pictures([90.0, 35.0])
    for bad in (34.9, -np.inf):
        with pytest.raises(ParityError, match="at least 35"):
            check_pictures([90.0, bad])
