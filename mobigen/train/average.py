"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """Keeps w_avg <- d w_avg + (1 - d) w after every update of w.

    d = min(decay, (1 + n) / (10 + n)) at update n = 0, 1, ..., so that a short run is not held back by its beginning.
    Updates are counted on the network's device, which alone knows at once whether one is skipped.
    """

    def __init__(self, network: nn.Module, decay: float):
        """Begins with a copy of `network`; `decay` is in [0, 1)."""
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = torch.zeros((), device=next(network.parameters()).device)

    @torch.no_grad()
    def update(self, network: nn.Module, skipped: Tensor) -> None:
        """Moves the average towards the present weights; buffers are copied. Where `skipped` () is 1, nothing moves."""
        step = (9 / (10 + self.updates)).clamp(min=1 - self.decay) * (1 - skipped)  # 1 - d, or nothing
        averaged: list[Tensor] = list(self.network.parameters())
        current: list[Tensor] = [parameter.detach() for parameter in network.parameters()]
        away = torch._foreach_sub(current, averaged)
        torch._foreach_mul_(away, step)
        torch._foreach_add_(averaged, away)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(torch.where(skipped > 0, mine, theirs))
        self.updates += 1 - skipped

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.updates.fill_(state["updates"])
