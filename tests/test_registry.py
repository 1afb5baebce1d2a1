"""The table of models."""

import re

import pytest

from mobigen.errors import InputError
from mobigen.pipelines import PIPELINES
from mobigen.registry import MODELS, find_model


def test_there_are_models():
    assert "sticker" in MODELS


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_a_plain_name_and_a_pipeline(name):
    model = find_model(name)
    assert model.name == name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert model.task in PIPELINES


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"'stickers'.*sticker"):
        find_model("stickers")
