"""Contrastive training of the dual encoder on real stickers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mobigen.data.latents import CaptionTable
from mobigen.data.stickers import StickerBatches
from mobigen.models.dual_encoder import DualEncoder
from mobigen.train.task import Loss, bare

__all__ = ["ContrastiveTask"]

LARGEST_LOG_SCALE = 4.6  # of the similarities, a factor of 100 as in CLIP


class ContrastiveTask:
    """Symmetric cross-entropy over the batch (CLIP, arXiv 2103.00020); all stickers of one name count as matches."""

    def __init__(self, dual_encoder: DualEncoder, batches: StickerBatches, table: CaptionTable, names: Tensor):
        """`names` (N,): equal for stickers of the same name."""
        self.networks: dict[str, nn.Module] = {"dual_encoder": dual_encoder}
        self.frozen: dict[str, nn.Module] = {}
        self.batches, self.table, self.names = batches, table, names

    def turn(self, step: int) -> str:
        return "dual_encoder"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        drawn, images = self.batches.draw(batch_size, generator)
        conditions = self.table.conditions(drawn, generator)
        pictures, texts = self.networks[turn](images, conditions.text_states, conditions.text_mask)
        dual_encoder: Any = bare(self.networks[turn])
        scale = dual_encoder.log_scale.clamp(max=LARGEST_LOG_SCALE).exp()
        logits = scale * pictures @ texts.T
        same = (self.names[drawn][:, None] == self.names[drawn]).float()
        wanted = same / same.sum(1, keepdim=True)
        value = (_cross_entropy(logits, wanted) + _cross_entropy(logits.T, wanted)) / 2
        hits = same[torch.arange(batch_size), logits.argmax(1)].mean()
        return Loss(value, {"accuracy": hits.detach()})

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        network: Any = averaged["dual_encoder"]
        network.save_component(folder)


def _cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    return -(wanted * logits.log_softmax(1)).sum(1).mean()
