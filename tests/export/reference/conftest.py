"""Programs that the tests of the reference executor share, converted once."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mobigen.export.quiet import quiet


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """Saves what coremltools converts, each under its own name, and converts nothing twice."""
    folder, made = tmp_path_factory.mktemp("packages"), {}

    def save(name, convert):
        if name not in made:
            made[name] = Path(folder, f"{name}.mlpackage")
            with quiet():  # also while coremltools drops its own copy
                convert().save(str(made[name]))
        return made[name]

    return save


@cache
def traced(kind):
    """A tiny network, in its deploy form, as the graph of torch operations that the house converts."""
    from tiny_networks import tiny

    from mobigen.export.coreml import trace_for_coreml, wide_edges

    return trace_for_coreml(wide_edges(tiny(kind).fuse()))


@pytest.fixture(scope="session")
def network_package(packages):
    """A tiny network of `kind` as an .mlpackage."""

    def convert(kind, precision, target):
        import coremltools as ct
        from tiny_networks import tiny

        outputs = tiny(kind).signature().outputs
        return ct.convert(
            traced(kind),
            outputs=[ct.TensorType(name=spec.name, dtype=np.float32) for spec in outputs],
            minimum_deployment_target=ct.target[target],
            compute_precision=ct.precision[precision],
        )

    def make(kind, precision="FLOAT32", target="iOS18"):
        name = f"{kind.__name__}-{precision}-{target}"
        return packages(name, lambda: convert(kind, precision, target))

    return make
