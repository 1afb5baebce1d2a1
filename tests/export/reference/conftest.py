"""Programs that the tests of the reference executor share, converted once."""

from pathlib import Path

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
