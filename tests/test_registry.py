"""The table of models."""

import re
from pathlib import Path

import pytest

from mobigen.errors import InputError, WeightsError
from mobigen.pipelines import PIPELINES
from mobigen.registry import MODELS, find_model, model_folders, weights_folder

ROOT = Path(__file__).parent.parent


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


def test_weights_lie_in_the_environments_folder_or_else_in_the_checkouts(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBIGEN_WEIGHTS", str(tmp_path))
    chosen, checkout = model_folders("fox")
    assert chosen == tmp_path / "fox"
    assert checkout == ROOT / "weights" / "fox"
    assert weights_folder() == tmp_path
    with pytest.raises(WeightsError, match=rf"no weights at {chosen}, {checkout}; set MOBIGEN_WEIGHTS"):
        weights_folder("fox")
    monkeypatch.delenv("MOBIGEN_WEIGHTS")
    assert model_folders("fox") == [checkout]
