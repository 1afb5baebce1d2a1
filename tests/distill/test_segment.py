"""Distillation from a tiny Segment Anything with random weights: cache, encoder, decoder."""

import json

import numpy as np
import pytest
import torch
from tiny_networks import tiny
from tiny_sam import tiny_sam

from mobigen.data.masks import load_masks
from mobigen.data.synthetic import write_synthetic_masks
from mobigen.distill import segment as module
from mobigen.distill.segment import DecoderDistillation, EmbeddingCache, EncoderDistillation, SamTeacher, slot_loss
from mobigen.errors import WeightsError
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.train.segment import Answer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    write_synthetic_masks(folder, 10, 96)
    return load_masks(folder, folder / "cache", 64)


@pytest.fixture(scope="module")
def teacher():
    return SamTeacher(tiny_sam())


@pytest.fixture(scope="module")
def cache(teacher, masks, tmp_path_factory):
    cache = EmbeddingCache(tmp_path_factory.mktemp("cache"), teacher, masks)
    cache.fill(CPU)
    return cache


# --- the teacher and its cache ------------------------------------------------------------------------------


def test_the_teacher_answers_as_transformers_does(teacher, masks):
    """At its own size the pictures need no scaling and the points are its own pixels."""
    pixels = (masks.images[:2].permute(0, 3, 1, 2).float() - teacher.mean) / teacher.deviation
    points = torch.tensor([[[10.0, 20.0], [40.0, 30.0]], [[5.0, 60.0], [33.0, 2.0]]])
    labels = torch.tensor([[1, 0], [1, 1]])
    with torch.no_grad():
        wanted = teacher.model(pixel_values=pixels, input_points=points[:, None], input_labels=labels[:, None])
    found = teacher.answer(teacher.embed(masks.images[:2]), points, labels.int(), 64)
    torch.testing.assert_close(found.masks, wanted.pred_masks[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.iou, wanted.iou_scores[:, 0], rtol=1e-4, atol=1e-5)


def test_pictures_are_told_apart(cache):
    embeddings = cache.read(torch.arange(10))
    assert embeddings.var(0).mean() > 1e-3 * embeddings.square().mean() > 0


def test_points_are_told_in_the_teachers_pixels(teacher, masks):
    embedding = teacher.embed(masks.images[:1])
    small, large = torch.tensor([[[10.0, 20.0]]]), torch.tensor([[[20.5, 40.5]]])
    one = torch.ones(1, 1, dtype=torch.int32)
    found, again = teacher.answer(embedding, small, one, 64), teacher.answer(embedding, large, one, 128)
    torch.testing.assert_close(found.masks, again.masks)


def test_what_is_read_is_what_the_teacher_says(cache, teacher, masks):
    drawn = torch.tensor([7, 0, 7])
    torch.testing.assert_close(cache.read(drawn), teacher.embed(masks.images[drawn]), rtol=1e-2, atol=2e-3)


def test_an_interrupted_making_goes_on(teacher, masks, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4)
    cache, embedded = EmbeddingCache(tmp_path, teacher, masks), []
    whole = SamTeacher.embed

    def interrupted(self, images):
        if len(embedded) == 2:
            raise KeyboardInterrupt
        embedded.append(len(images))
        return whole(self, images)

    monkeypatch.setattr(SamTeacher, "embed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.fill(CPU)
    assert json.loads((tmp_path / "embeddings.json").read_text())["done"] == 8
    monkeypatch.setattr(SamTeacher, "embed", whole)
    lines = []
    cache.fill(CPU, lines.append)
    assert lines == ["embedded 10 of 10 pictures"]
    np.testing.assert_allclose(cache.read(torch.arange(10)), teacher.embed(masks.images), rtol=1e-2, atol=2e-3)


def test_another_teacher_starts_afresh(cache, masks):
    lines = []
    other = EmbeddingCache(cache.folder, SamTeacher(tiny_sam(seed=1)), masks)
    assert other._done() == 0
    cache.fill(CPU, lines.append)
    assert lines == []


def test_a_folder_without_a_teacher(tmp_path):
    with pytest.raises(WeightsError, match="no SAM in"):
        SamTeacher.from_folder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "sam"}')
    with pytest.raises(WeightsError, match="is not a SamModel"):
        SamTeacher.from_folder(tmp_path)


def test_a_teacher_comes_from_its_folder(teacher, masks, tmp_path):
    teacher.model.save_pretrained(tmp_path)
    again = SamTeacher.from_folder(tmp_path)
    torch.testing.assert_close(again.embed(masks.images[:1]), teacher.embed(masks.images[:1]))


# --- the tasks ----------------------------------------------------------------------------------------------


def encoder_task(cache):
    return EncoderDistillation(tiny(ImageEncoder), cache, CPU)


def decoder_task(cache):
    return DecoderDistillation(tiny(ClickDecoder), tiny(ImageEncoder), cache, CPU)


@pytest.mark.parametrize("make", [encoder_task, decoder_task])
def test_it_learns(make, cache):
    task = make(cache)
    turn = task.turn(0)
    network = task.networks[turn].train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)

    def loss(seed):
        return task.loss(turn, 8, torch.Generator().manual_seed(seed)).value

    before = float(loss(0).detach())
    for step in range(15):
        optimizer.zero_grad()
        loss(step + 1).backward()
        optimizer.step()
    assert float(loss(0).detach()) < 0.9 * before
    assert all(parameter.grad is None for frozen in task.frozen.values() for parameter in frozen.parameters())


def test_the_loss_of_the_teachers_own_answer_is_small():
    masks = torch.where(torch.arange(16.0) < 8, 20.0, -20.0).expand(2, 3, 16, 16)
    answer = Answer(masks, torch.rand(2, 3))
    assert slot_loss(answer, answer).value < 1e-3
    turned = Answer(masks, 1 - answer.iou)
    torch.testing.assert_close(slot_loss(turned, answer).parts["quality"], (1 - 2 * answer.iou).square().mean())


@pytest.mark.parametrize(("make", "name"), [(encoder_task, "sam_encoder"), (decoder_task, "sam_decoder")])
def test_only_the_student_is_saved(make, name, cache, tmp_path):
    task = make(cache)
    task.save(task.networks, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    kind = ImageEncoder if name == "sam_encoder" else ClickDecoder
    kind.from_pretrained(tmp_path / name)
