"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """Keeps w_avg <- d w_avg + (1 - d) w, with d = min(decay, (1 + n) / (10 + n)) so that short runs are not held back."""

    def __init__(self, network: nn.Module, decay: float):
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards the present weights; buffers are copied."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged, current = list(self.network.parameters()), [p.detach() for p in network.parameters()]
        torch._foreach_lerp_(averaged, current, 1 - decay)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.updates = state["updates"]
