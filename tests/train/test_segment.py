"""The cutout task: losses against plain formulas, what a click means, and that it learns."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_networks import tiny

from mobigen.data.masks import load_masks
from mobigen.data.scenes import SceneBatches
from mobigen.data.sessions import begin
from mobigen.data.synthetic import write_synthetic_masks
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.models.squeezesam import SqueezeSAM
from mobigen.train.segment import (
    Answer,
    OnePassSegmenter,
    Segmenter,
    SegmentTask,
    answer_loss,
    best_mask,
    click_losses,
    mask_losses,
    overlaps,
)

POINTS = 16  # room for the first prompt and the corrections


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    write_synthetic_masks(folder, 16, 96)
    return SceneBatches(load_masks(folder, folder / "cache", 64), None, torch.device("cpu"))


def segmenter():
    torch.manual_seed(0)
    return Segmenter(tiny(ImageEncoder), tiny(ClickDecoder, points=POINTS))


def one_pass():
    torch.manual_seed(0)
    return OnePassSegmenter(tiny(SqueezeSAM, points=POINTS))


def nowhere(count):
    return torch.zeros(count, 1, 8, 8)


both = pytest.mark.parametrize("make", [segmenter, one_pass])


# --- losses -------------------------------------------------------------------------------------------------


@given(st.integers(0, 100))
def test_the_loss_is_focal_and_dice_where_nothing_is_mixed(seed):
    """On a target of one value no pixel is near an edge, so all weights are 1."""
    logits = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    p = torch.sigmoid(logits[0, 0, 7:9, 7:9])
    focal = (1 - p) ** 2 * -torch.log(p)
    found = mask_losses(logits[:, :, 7:9, 7:9], torch.ones(1, 1, 2, 2))
    weight = 1 + 4 * 2 * (1 - 4 / 225)  # all around is outside
    wanted = 20 * weight * focal.mean() + 1 - (2 * weight * p.sum() + 1) / (weight * (p.sum() + 4) + 1)
    torch.testing.assert_close(found[0, 0], wanted, rtol=1e-4, atol=1e-5)


def test_edges_count_more():
    target = torch.zeros(1, 1, 64, 64)
    target[..., :32] = 1
    near, far = (torch.where(target > 0, 6.0, -6.0) for _ in range(2))
    near[..., 20:30, 33] = 6
    far[..., 20:30, 60] = 6
    assert mask_losses(near, target) > mask_losses(far, target) * 1.2


def test_overlaps_are_intersection_over_union():
    target = torch.zeros(1, 1, 8, 8)
    target[..., :4, :] = 1
    logits = torch.full((1, 2, 8, 8), -1.0)
    logits[:, 0, 2:6] = 1
    torch.testing.assert_close(overlaps(logits, target), torch.tensor([[16 / 48, 0.0]]))


def test_the_best_of_three_is_trained_and_the_iou_of_all():
    target = torch.zeros(1, 1, 8, 8)
    target[..., :4, :] = 1
    good = torch.where(target > 0, 9.0, -9.0)
    masks = torch.cat([-good, good, -good], 1).requires_grad_()
    iou = torch.tensor([[0.0, 1.0, 0.0]])
    loss, found = answer_loss(Answer(masks, iou), target, torch.tensor([True]), nowhere(1))
    assert found == 1
    quality_only, _ = answer_loss(Answer(masks, 1 - iou), target, torch.tensor([True]), nowhere(1))
    assert float((quality_only - loss).detach()) == pytest.approx(1.0, abs=1e-4)
    each = mask_losses(masks, target).detach()
    assert float(loss.detach()) == pytest.approx(float(0.1 * each.mean() + each.min()), rel=1e-4)


def test_around_clicks_masks_have_to_be_right():
    """A mean of the cross-entropy, over the places that are near; none without a click."""
    logits, target = torch.randn(2, 3, 8, 8), torch.rand(2, 1, 8, 8)
    near = torch.zeros(2, 1, 8, 8)
    near[0, 0, 2, 3], near[0, 0, 2, 4] = 1.0, 0.5
    p = torch.sigmoid(logits[0, :, 2, 3:5])
    entropy = -(target[0, :, 2, 3:5] * p.log() + (1 - target[0, :, 2, 3:5]) * (1 - p).log())
    found = click_losses(logits, target, near)
    torch.testing.assert_close(found[0], (entropy * torch.tensor([1.0, 0.5])).sum(1) / 1.5)
    assert (found[1] == 0).all()


def test_what_cannot_be_asked_for_is_not_counted():
    masks, target = torch.randn(2, 3, 8, 8), torch.rand(2, 1, 8, 8)
    iou = torch.rand(2, 3)
    both, _ = answer_loss(Answer(masks, iou), target, torch.tensor([True, False]), nowhere(2))
    first, _ = answer_loss(Answer(masks[:1], iou[:1]), target[:1], torch.tensor([True]), nowhere(1))
    torch.testing.assert_close(both, first)
    none, _ = answer_loss(Answer(masks, iou), target, torch.tensor([False, False]), nowhere(2))
    assert none == 0


def test_the_best_mask_is_the_one_that_is_expected_to_be():
    masks = torch.arange(3.0).reshape(1, 3, 1, 1).expand(2, 3, 4, 4)
    chosen = best_mask(Answer(masks, torch.tensor([[0.1, 0.9, 0.2], [0.3, 0.1, 0.8]])))
    assert chosen[:, 0, 0, 0].tolist() == [1, 2]


# --- the task -----------------------------------------------------------------------------------------------


@both
def test_every_click_is_answered_and_the_next_is_told(make, batches):
    task = SegmentTask(make(), batches)
    generator = torch.Generator().manual_seed(0)
    scenes = batches.draw(4, generator)
    session = begin(scenes, generator)
    before = session.points.shape[1]
    _, answers = task.networks["segmenter"](scenes.image, session, 3)
    assert [tuple(each.masks.shape) for each in answers] == [(4, 3, 32, 32)] * 3
    assert session.points.shape[1] == before + 2


@both
def test_it_learns(make, batches, monkeypatch):
    monkeypatch.setattr(SegmentTask, "CLICKS", 2)
    task = SegmentTask(make(), batches)
    network = task.networks["segmenter"].train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)

    def loss(seed):
        return task.loss("segmenter", 8, torch.Generator().manual_seed(seed)).value

    def now():
        with torch.no_grad():
            return float(sum(loss(seed) for seed in range(1)))

    before = now()
    for step in range(20):
        optimizer.zero_grad()
        loss(100 + step).backward()
        optimizer.step()
    assert now() < 0.95 * before


def test_all_weights_learn(batches):
    task = SegmentTask(segmenter(), batches)
    task.networks["segmenter"].train()
    loss = task.loss("segmenter", 16, torch.Generator().manual_seed(0))
    loss.value.backward()
    assert set(loss.parts) == {"iou1", "iou2", "iou3", "iou4", "salient"}
    for name, parameter in task.networks["segmenter"].named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_the_same_seed_gives_the_same_loss(batches):
    values = [
        SegmentTask(segmenter(), batches).loss("segmenter", 4, torch.Generator().manual_seed(5)).value for _ in "ab"
    ]
    assert torch.equal(*values)


@torch.no_grad()
def test_only_the_networks_are_compiled(batches, monkeypatch):
    monkeypatch.setattr(SegmentTask, "CLICKS", 2)
    network = segmenter()
    plain = SegmentTask(network, batches).loss("segmenter", 2, torch.Generator().manual_seed(0)).value
    network.compile(backend="eager")
    compiled = SegmentTask(network, batches).loss("segmenter", 2, torch.Generator().manual_seed(0)).value
    torch.testing.assert_close(compiled, plain)
    assert network._compiled_call_impl is None
    assert network.decoder._compiled_call_impl is not None


@both
def test_what_is_saved_comes_back(make, batches, tmp_path):
    task = SegmentTask(make(), batches)
    task.save(task.networks, tmp_path)
    kinds = [ImageEncoder, ClickDecoder] if make is segmenter else [SqueezeSAM]
    assert {path.name for path in tmp_path.iterdir()} == {kind.component for kind in kinds}
    for kind in kinds:
        kind.from_pretrained(tmp_path / kind.component)


def test_bfloat16_changes_the_networks_and_not_the_scenes(batches, monkeypatch):
    drawn = []
    draw = SceneBatches.draw
    monkeypatch.setattr(SceneBatches, "draw", lambda self, *given: drawn.append(draw(self, *given)) or drawn[-1])
    task, values = SegmentTask(segmenter(), batches), []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            values.append(task.loss("segmenter", 4, torch.Generator().manual_seed(0)).value.detach())
    assert torch.equal(drawn[0].image, drawn[1].image)
    torch.testing.assert_close(values[1], values[0], rtol=0.1, atol=0.1)
