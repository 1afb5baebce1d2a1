"""The float64 gate sees what a converter might do wrong: faults are planted in programs, and nearly all are caught."""

from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("coremltools")

from mil_faults import Planter  # noqa: E402
from tiny_networks import examples, results, tiny  # noqa: E402

from mobigen.errors import ExportError  # noqa: E402
from mobigen.export.reference.executor import Executor  # noqa: E402
from mobigen.export.reference.package import read_package  # noqa: E402
from mobigen.models.autoencoder import Decoder, Encoder  # noqa: E402
from mobigen.models.denoiser import Denoiser  # noqa: E402
from mobigen.models.text_encoder import TextEncoder  # noqa: E402

KINDS = (TextEncoder, Denoiser, Encoder, Decoder)
EACH = 75  # faults a network, drawn from all that the tables offer
GATE = 1e-6  # the largest difference that passes, by the largest magnitude of the output
SAMPLES = 2


def references(kind):
    """Inputs, and what the network makes of them in float64, in the order of its outputs."""
    for seed in range(SAMPLES):
        network = tiny(kind)
        inputs = examples(network, seed)
        wide = {name: each.double() if each.is_floating_point() else each for name, each in inputs.items()}
        outputs = results(network.double(), wide)
        yield {name: each.numpy() for name, each in wide.items()}, [each.numpy() for each in outputs]


def passes(function, samples):
    """Whether the gate lets a function through as the network."""
    executor = Executor(function, "float64")
    for inputs, wanted in samples:
        found = executor(inputs).values()
        for one, other in zip(found, wanted, strict=True):
            if not np.abs(one - other).max() <= GATE * np.abs(other).max():
                return False
    return True


def verdict(fault, samples):
    try:
        return "missed" if passes(fault.function, samples) else "caught"
    except ExportError:
        return "refused"  # it is no program any more: a shape or a parameter does not fit


@pytest.fixture(scope="module")
def verdicts(network_package):
    """(network, fault, verdict) of all planted faults."""
    found = []
    for number, kind in enumerate(KINDS):
        function = read_package(network_package(kind)).functions["main"]
        samples = list(references(kind))
        assert passes(function, samples)
        offered = list(Planter(function, number).faults())
        drawn = np.random.default_rng(number).permutation(len(offered))[:EACH]
        found += [(kind.__name__, offered[index], verdict(offered[index], samples)) for index in drawn]
    return found


def test_nine_faults_of_ten_are_caught(verdicts):
    counts = Counter(verdict for _, _, verdict in verdicts)
    whole = counts["caught"] + counts["missed"]
    assert whole >= 100
    missed = [f"{network}: {fault.kind}, {fault.place}" for network, fault, verdict in verdicts if verdict == "missed"]
    assert counts["caught"] >= 0.9 * whole, missed


def test_faults_are_of_many_kinds(verdicts):
    assert len({fault.kind for _, fault, verdict in verdicts if verdict == "caught"}) >= 30
