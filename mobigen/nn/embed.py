"""Embeddings of numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["TimeEmbedding"]


class TimeEmbedding(nn.Module):
    """Time in [0, 1] -> a vector: cosines and sines of geometric frequencies, then a two-layer perceptron.

    The fastest wave is 0.06 long: shorter ones would lose their phase in float16, whose step at 1000 radians is 0.5.
    """

    rates: Tensor

    def __init__(self, dim: int, frequencies: int = 64, fastest: float = 100.0):
        super().__init__()
        rates = torch.exp(torch.linspace(0.0, math.log(fastest), frequencies))
        self.register_buffer("rates", rates, persistent=False)
        self.perceptron = nn.Sequential(nn.Linear(2 * frequencies, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, time: Tensor) -> Tensor:
        """(B,) in [0, 1] -> (B, dim)."""
        angles = time[:, None] * self.rates
        waves = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.perceptron(waves.to(self.rates.dtype))
