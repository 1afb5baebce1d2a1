"""Training of super-resolution: towards the pixels that were there, or towards what looks like them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.data.photos import Pairs, PairSource
from mobigen.luma import LUMA_SPAN, luma
from mobigen.models.mfagan import PatchDiscriminator
from mobigen.models.upscaler import Upscaler
from mobigen.train.task import Loss, bare

__all__ = ["PhotoRestoration", "Restoration", "as_seen_by", "charbonnier", "luma_of", "pixel_loss"]


class Restoration:
    """Minimises `pixel_loss`: the task whose score is PSNR."""

    def __init__(self, upscaler: Upscaler, pairs: PairSource):
        self.networks: dict[str, nn.Module] = {"upscaler": upscaler}
        self.frozen: dict[str, nn.Module] = {}
        self.pairs, self.channels = pairs, upscaler.channels

    def turn(self, step: int) -> str:
        return "upscaler"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        small, large = _laid_out(self.pairs(batch_size, generator))
        enlarged = self.networks[turn](as_seen_by(self.channels, small)).float()
        return Loss(*pixel_loss(enlarged, large))

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        upscaler: Any = averaged["upscaler"]
        upscaler.save_component(folder)


class PhotoRestoration:
    """Pixels, features and a discriminator of patches: for photos that a person looks at, not for PSNR.

    The discriminator compares each patch with the one that was there (relativistic, arXiv 1807.00734): it asks which
    of the two is real, so where the pixels are right already there is nothing to gain by another texture.
    """

    FEATURES, ADVERSARIAL = 0.03, 0.003  # weights beside the pixels'

    def __init__(
        self, upscaler: Upscaler, discriminator: PatchDiscriminator, pairs: PairSource, perceptual: nn.Module | None
    ):
        """`perceptual`: a loss of two RGB batches in [-1, 1], or None."""
        self.networks: dict[str, nn.Module] = {"upscaler": upscaler, "discriminator": discriminator}
        self.frozen: dict[str, nn.Module] = {} if perceptual is None else {"perceptual": perceptual}
        self.pairs = pairs

    def turn(self, step: int) -> str:
        return "upscaler" if step % 2 else "discriminator"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        small, large = _laid_out(self.pairs(batch_size, generator))
        if turn == "discriminator":
            with torch.no_grad():
                enlarged = bare(self.networks["upscaler"])(small)
            made, real = self.networks[turn](torch.cat([enlarged, large])).float().chunk(2)
            tells = F.softplus(made - real).mean()
            return Loss(tells, {})
        return self._upscaler_loss(self.networks[turn](small).float(), large)

    def _upscaler_loss(self, enlarged: Tensor, large: Tensor) -> Loss:
        total, parts = pixel_loss(enlarged, large)
        made, real = bare(self.networks["discriminator"])(torch.cat([enlarged, large])).float().chunk(2)
        parts["fools"] = F.softplus(real - made).mean()
        total = total + self.ADVERSARIAL * parts["fools"]
        if "perceptual" in self.frozen:
            parts["features"] = self.frozen["perceptual"](enlarged * 2 - 1, large * 2 - 1)
            total = total + self.FEATURES * parts["features"]
        return Loss(total, {name: value.detach() for name, value in parts.items()})

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        """The upscaler, and the discriminator to go on from."""
        for network in averaged.values():
            network.save_component(folder)  # type: ignore[operator]  # they are Networks


def _laid_out(pairs: Pairs) -> Pairs:
    """With the small pictures' channels last on a CPU, whose convolutions of few channels take less time so."""
    small, large = pairs
    return Pairs(small.contiguous(memory_format=torch.channels_last), large) if small.device.type == "cpu" else pairs


COLOUR = 0.25  # weight of RGB beside luma


def pixel_loss(enlarged: Tensor, large: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The Charbonnier loss of luma, and of colours with less weight: tables compare luma, and eyes are sharp in it.

    `enlarged` (B, 1 or 3, H, W), `large` (B, 3, H, W) in [0, 1] -> the loss, and its parts where there are several.
    """
    if enlarged.shape[1] == 1:
        return charbonnier((enlarged - luma_of(large)) / LUMA_SPAN), {}
    in_luma = charbonnier((luma_of(enlarged) - luma_of(large)) / LUMA_SPAN)
    in_colour = charbonnier(enlarged - large)
    return in_luma + COLOUR * in_colour, {"luma": in_luma.detach(), "colour": in_colour.detach()}


def charbonnier(difference: Tensor, epsilon: float = 1e-3) -> Tensor:
    """mean sqrt(d^2 + epsilon^2) - epsilon: the absolute value without its corner (Charbonnier et al. 1994)."""
    return (difference.square() + epsilon**2).sqrt().mean() - epsilon


def luma_of(images: Tensor) -> Tensor:
    """RGB (B, 3, H, W) in [0, 1] -> luma (B, 1, H, W)."""
    return luma(*images.split(1, dim=1))


def as_seen_by(channels: int, images: Tensor) -> Tensor:
    """What a network of 1 or 3 channels is given of RGB images (B, 3, H, W)."""
    return luma_of(images) if channels == 1 else images
