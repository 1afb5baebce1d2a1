"""Muon (Jordan et al. 2024) for many matrices of few shapes: those of one shape are stacked and updated together.

The kernel of a convolution is a matrix too: a row for every channel that comes out, a column for each number behind it.

torch.optim.Muon launches some forty small kernels a matrix, and a transformer has a hundred matrices. This one computes
the same, and like torch's fused optimisers it leaves out a step where its `found_inf` says so, without asking the host.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Muon", "orthogonalised"]

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, steep at zero
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum with decoupled weight decay, over matrices and kernels.

    Updates have the size of AdamW's, 0.2 sqrt(max(rows, columns)), so both share one learning rate (Liu et al., arXiv
    2502.16982, eq. 4). The state is torch.optim.Muon's.
    """

    def __init__(self, matrices: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        for matrix in [each for group in self.param_groups for each in group["params"]]:
            self.state[matrix]["momentum_buffer"] = torch.zeros_like(matrix)
        self.found_inf: Tensor | None = None  # where it is above 0, nothing changes

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # as the fused ones', without closures
        """Updates every matrix that has a gradient."""
        for group in self.param_groups:
            alike = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[matrix.shape].append(matrix)
            for matrices in alike.values():
                self._update(matrices, group)

    def _update(self, matrices: list[nn.Parameter], group: dict[str, Any]) -> None:
        """One step of matrices of one shape."""
        buffers = [self.state[matrix]["momentum_buffer"] for matrix in matrices]
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        kinds: tuple[list[Tensor], ...] = ([*matrices], buffers, gradients)
        weight, average, gradient = (torch.stack(kind).flatten(2) for kind in kinds)  # (N, rows, columns)
        moved = average.lerp(gradient, 1 - group["momentum"])
        direction = orthogonalised(gradient.lerp(moved, group["momentum"]))
        size = 0.2 * max(weight.shape[1:]) ** 0.5
        updated = weight * (1 - group["lr"] * group["weight_decay"]) - group["lr"] * size * direction
        self._put(buffers, moved, average)
        self._put(matrices, updated, weight)

    def _put(self, places: Sequence[Tensor], new: Tensor, old: Tensor) -> None:
        """Copies `new` (N, rows, columns) to its `places`, or `old` where the step is left out."""
        values = new if self.found_inf is None else torch.where(self.found_inf > 0, old, new)
        torch._foreach_copy_(list(places), list(values.reshape(-1, *places[0].shape).unbind()))


def orthogonalised(matrices: Tensor) -> Tensor:
    """(N, R, C) -> bfloat16 (N, R, C) with singular values near 1, by Newton-Schulz iterations (Jordan et al. 2024)."""
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).bfloat16()
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
