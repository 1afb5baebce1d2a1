"""Contrastive training: the loss by hand, and that it learns."""

import numpy as np
import pytest
import torch
from small_latents import small_latents
from tiny_networks import tiny

from mobigen.data.stickers import StickerBatches, load_stickers
from mobigen.data.synthetic import write_synthetic_shards
from mobigen.models.dual_encoder import DualEncoder
from mobigen.train.contrastive import ContrastiveTask


def source(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stickers")
    write_synthetic_shards(folder, 6, 64)
    return StickerBatches(load_stickers(folder, folder / "cache", recoloured=0, size=64), torch.device("cpu"))


def contrastive(batches, names):
    return ContrastiveTask(tiny(DualEncoder), batches, small_latents().table, torch.tensor(names))


@pytest.mark.parametrize("names", [[0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 1, 2]])
def test_the_loss_is_cross_entropy_both_ways_over_equal_names(batches, names):
    task = contrastive(batches, names)
    loss = task.loss("dual_encoder", 8, source())
    generator, network = source(), task.networks["dual_encoder"]
    drawn, images = batches.draw(8, generator)
    conditions = task.table.conditions(drawn, generator)
    with torch.no_grad():
        pictures, texts = (each.double().numpy() for each in network(images, *conditions[:2]))
    similarity = np.exp(min(network.log_scale.item(), np.log(100))) * pictures @ texts.T
    named = np.array(names)[drawn]
    value = 0.0
    for scores in (similarity, similarity.T):
        for row, name in enumerate(named):
            log_shares = scores[row] - np.log(np.exp(scores[row]).sum())
            value -= log_shares[named == name].mean() / 16
    assert loss.value.item() == pytest.approx(value, rel=1e-3)
    hits = np.mean([named[row] == named[similarity[row].argmax()] for row in range(8)])
    assert loss.parts["accuracy"].item() == pytest.approx(hits)


def test_the_scale_is_bounded(batches):
    task = contrastive(batches, range(6))
    torch.nn.init.constant_(task.networks["dual_encoder"].log_scale, 20.0)
    assert task.loss("dual_encoder", 8, source()).value < 250


def test_the_result_is_saved(batches, tmp_path):
    task = contrastive(batches, range(6))
    task.save(task.networks, tmp_path)
    DualEncoder.from_pretrained(tmp_path / "dual_encoder")
