"""Flow-matching training of a denoiser with classifier-free dropout, and guided sampling with the result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.data.latents import Conditions, LatentSet
from mobigen.diffusion.flow import guide, interpolate, logit_normal_times, noise_like
from mobigen.models.denoiser import Denoiser
from mobigen.sampling import euler
from mobigen.train.task import Loss

__all__ = ["GUIDANCE", "SHIFT", "FlowMatching", "guided_velocity", "sample_teacher"]

GUIDANCE, SHIFT = 4.5, 3.0  # with which a teacher of stickers draws best: its scale, and that of `shifted_times`


class FlowMatching:
    """Mean squared error of the velocity at logit-normal times; DROPPED of the pictures lose words and style."""

    DROPPED = 0.1

    def __init__(self, denoiser: Denoiser, latents: LatentSet, component: str):
        self.networks: dict[str, nn.Module] = {"denoiser": denoiser}
        self.frozen: dict[str, nn.Module] = {}
        self.latents, self.component = latents, component

    def turn(self, step: int) -> str:
        return "denoiser"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        clean, conditions = self.latents.draw(batch_size, generator)
        dropped = torch.rand(batch_size, generator=generator, device=clean.device) < self.DROPPED
        noise = noise_like(clean, generator)
        time = logit_normal_times(batch_size, generator)
        velocity = self.networks[turn](interpolate(clean, noise, time), time, *conditions.without(dropped))
        return Loss(F.mse_loss(velocity.float(), noise - clean), {})

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        denoiser: Any = averaged["denoiser"]
        denoiser.save_component(folder, self.component)


def guided_velocity(denoiser: nn.Module, noisy: Tensor, time: Tensor, conditions: Conditions, scale: float) -> Tensor:
    """The velocity with classifier-free guidance, words and style against neither, in one doubled batch.

    `noisy` (B, C, h, w), `time` (B,) -> (B, C, h, w) in float32.
    """
    nothing = conditions.nothing()
    both = Conditions(*(torch.cat(pair) for pair in zip(conditions, nothing, strict=True)))
    told, untold = denoiser(torch.cat([noisy, noisy]), torch.cat([time, time]), *both).float().chunk(2)
    return guide(told, untold, scale)


@torch.no_grad()
def sample_teacher(
    denoiser: nn.Module, noise: Tensor, conditions: Conditions, times: Sequence[float], scale: float
) -> list[Tensor]:
    """Walks from noise to data by guided Euler steps.

    Args:
        denoiser: predicts velocity.
        noise: (B, C, h, w), unit normal.
        conditions: what to make, B rows.
        times: descending from 1 to 0.
        scale: of the guidance; see `guide`.

    Returns:
        A latent (B, C, h, w) a time, from `noise` to data.
    """

    def denoise(noisy: Tensor, time: float, until: float) -> Tensor:
        return guided_velocity(denoiser, noisy, torch.full((len(noisy),), time, device=noisy.device), conditions, scale)

    return [noise, *(step.latent for step in euler(denoise, noise, times))]
