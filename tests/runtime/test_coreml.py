"""The Core ML backend; it can predict on macOS only."""

import sys

import numpy as np
import pytest

from mobigen.bundle import load_bundle
from mobigen.errors import MissingExtraError
from mobigen.runtime import load_component
from mobigen.runtime.coreml import CoreMLComponent
from mobigen.signature import Signature, TensorSpec


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has the backend")
def test_elsewhere_it_points_to_litert(exported_bundle):
    with pytest.raises(MissingExtraError, match="macOS only; use the litert backend"):
        load_component(load_bundle(exported_bundle), "decoder", "coreml")


class Echo:
    """Stands for coremltools' MLModel, which predicts on macOS only."""

    def __init__(self, path, function_name=None):
        self.path, self.function_name = path, function_name

    def predict(self, inputs):
        self.inputs = inputs
        return {"darker": inputs["picture"] // 2}


def test_bytes_go_in_and_come_out_as_whole_numbers(monkeypatch, tmp_path):
    models = pytest.importorskip("coremltools.models")
    monkeypatch.setattr(models, "MLModel", Echo)
    spec = TensorSpec("picture", (1, 2), "uint8")
    component = CoreMLComponent(tmp_path, Signature("x", (spec,), (TensorSpec("darker", (1, 2), "uint8"),)), "size_2")
    result = component(picture=np.array([[8, 255]], np.uint8))["darker"]
    assert component._model.inputs["picture"].dtype == np.int32
    assert component._model.function_name == "size_2"
    assert result.dtype == np.uint8
    assert result.tolist() == [[4, 127]]
