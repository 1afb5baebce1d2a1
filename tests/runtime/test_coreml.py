"""The Core ML backend; it can predict on macOS only."""

import sys

import pytest

from mobigen.bundle import load_bundle
from mobigen.errors import MissingExtraError
from mobigen.runtime import load_component


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has the backend")
def test_elsewhere_it_points_to_litert(exported_bundle):
    with pytest.raises(MissingExtraError, match="macOS only; use the litert backend"):
        load_component(load_bundle(exported_bundle), "decoder", "coreml")
