"""The whole evaluation, on drawn stickers and tiny networks with random weights."""

import json

import pytest
import torch

from mobigen.data.synthetic import write_synthetic_shards
from mobigen.data.words import make_tokenizer
from mobigen.errors import WeightsError
from mobigen.models.autoencoder import Decoder
from mobigen.models.denoiser import Denoiser
from mobigen.models.dual_encoder import DualEncoder
from mobigen.models.text_encoder import TextEncoder
from mobigen.train import evaluate

SAMPLERS = {
    "folded in": {"kind": "euler", "times": {"1": [1.0, 0.0], "2": [1.0, 0.5, 0.0]}},
    "guided": {"kind": "euler", "guidance": 3.0, "times": {"2": [1.0, 0.5, 0.0]}},
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A few prompts and steps instead of hundreds."""
    torch.manual_seed(0)
    monkeypatch.setattr(evaluate, "OBJECTS", evaluate.OBJECTS[:2])
    monkeypatch.setattr(evaluate, "UNSEEN_WORDS", {"pony": "horse", "disc": "circle"})
    monkeypatch.setattr(evaluate, "TEACHER_STEPS", 2)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_synthetic_shards(folder / "stickers", 60)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    words = ["circle", "square", "triangle", "red", "blue", "horse", "pony"]
    tokenizer = make_tokenizer(words, words, 200, 24)
    tokenizer.save(str(folder / "tokenizer.json"))
    small = {"dim": 16, "depth": 1, "heads": 2}
    TextEncoder(vocabulary=200, embedding_dim=8, **small).save_pretrained(folder / "text_encoder")
    Denoiser(text_dim=16, **small).save_pretrained(folder / "denoiser")
    Denoiser(text_dim=16, **small).save_pretrained(folder / "teacher")
    Decoder(widths=(8, 8, 8), depth=1, head_width=4).save_pretrained(folder / "decoder")
    DualEncoder(widths=(8, 8, 8), depth=1, dim=8, text_dim=16).save_pretrained(folder / "dual_encoder")
    return folder


@pytest.mark.parametrize("kind", SAMPLERS)
def test_every_score_is_there_and_in_range(kind, data, weights, tmp_path):
    (weights / "pipeline.json").write_text(json.dumps({"sampler": SAMPLERS[kind]}))
    lines = []
    scores = evaluate.evaluate_sticker(data, weights, tmp_path, lines.append, samples=6)
    steps = set(SAMPLERS[kind]["times"])
    assert set(scores["students"]) == set(scores["colour"]) == set(scores["unseen_words"]) == steps
    for row in (scores["real"], scores["teacher"], *scores["students"].values()):
        assert 0 <= row["retrieval"] <= 1
        assert row["frechet"] >= 0
    assert all(0 <= share <= 1 for share in (*scores["colour"].values(), *scores["unseen_words"].values()))
    assert json.loads((tmp_path / "scores.json").read_text()) == scores
    assert (tmp_path / "samples.png").is_file()
    assert (tmp_path / "nearest.png").is_file()
    assert len(lines) == 4 + len(steps)


def test_long_drawing_tells_how_far_it_is(data, weights, tmp_path, monkeypatch):
    (weights / "pipeline.json").write_text(json.dumps({"sampler": SAMPLERS["folded in"]}))
    monkeypatch.setattr(evaluate, "CHUNK", 2)
    monkeypatch.setattr(evaluate, "REPORT_EVERY", -1.0)
    lines = []
    evaluate.evaluate_sticker(data, weights, tmp_path, lines.append, samples=6)
    assert [line for line in lines if line.endswith("of 6")][:3] == ["drawn 0 of 6", "drawn 2 of 6", "drawn 4 of 6"]


def test_a_missing_judge_is_named_with_its_recipe(data, tmp_path):
    (tmp_path / "pipeline.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"no judge at .*mobigen train sticker-dual-encoder"):
        evaluate.evaluate_sticker(data, tmp_path, tmp_path, print, samples=6)


def test_missing_weights_are_named(data, tmp_path):
    with pytest.raises(WeightsError, match=r"no .*pipeline\.json"):
        evaluate.evaluate_sticker(data, tmp_path, tmp_path, print, samples=6)
