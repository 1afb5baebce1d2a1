"""What each task's pipeline is asked for while it is timed."""

import pytest
import tiny_cutout as tiny

from mobigen.bench.worker import REQUESTS
from mobigen.registry import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_every_shipped_models_pipeline_can_be_timed(name):
    assert REQUESTS[MODELS[name].task].name


def test_a_cutout_is_timed_from_the_photo_to_the_masks_of_a_click():
    predictor = tiny.painted_predictor()
    for _ in range(2):
        masks, _, _ = REQUESTS["cutout"].ask(predictor)
    assert masks.shape == (3, 512, 512)
    assert masks[:, 256, 256].all()
    first, second = predictor._components["image_encoder"].calls
    assert (first["image"] == second["image"]).all()
