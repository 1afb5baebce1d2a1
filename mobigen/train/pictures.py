"""How the autoencoder's pictures are judged: as they show on dark, light and coloured backgrounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from mobigen.data.stickers import StickerBatches
from mobigen.models.autoencoder import Encoder, TeacherDecoder
from mobigen.train.task import Loss

__all__ = ["AutoencoderTask", "composite", "latent_noise", "picture_loss"]

NEARLY_BOUND = 0.999  # beyond this a target counts as fully transparent or fully opaque


def composite(straight: Tensor, background: Tensor) -> Tensor:
    """Straight RGBA (B, 4, H, W) over colours (B, 3, 1, 1), all in [-1, 1] -> RGB (B, 3, H, W)."""
    alpha = (straight[:, 3:] + 1) / 2
    return alpha * straight[:, :3] + (1 - alpha) * background


def _may_overshoot(alpha: Tensor, target: Tensor) -> Tensor:
    """Alpha beyond 0 or 1 counts as reached, so that flat areas become exactly transparent or opaque once clamped."""
    past = ((target > NEARLY_BOUND) & (alpha > target)) | ((target < -NEARLY_BOUND) & (alpha < target))
    return torch.where(past, target, alpha)


def picture_loss(
    straight: Tensor, target: Tensor, generator: torch.Generator, perceptual: nn.Module | None, weight: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """L1 over black and over white, L1 of alpha, and the perceptual loss over a random colour.

    Args:
        straight: decoded straight RGBA (B, 4, H, W), about [-1, 1].
        target: (B, 4, H, W) from `premultiply`.
        generator: draws the colours.
        perceptual: a loss of two RGB batches, or None.
        weight: of the perceptual loss.

    Returns:
        The loss, a scalar, and its unweighted parts `l1`, `alpha` and, if it is used, `perceptual`.
    """
    straight = straight.float()
    straight = torch.cat([straight[:, :3], _may_overshoot(straight[:, 3:], target[:, 3:])], dim=1)
    missing = (1 - target[:, 3:]) / 2

    def difference(background: float) -> Tensor:
        colour = torch.full_like(target[:, :3, :1, :1], background)
        return (composite(straight, colour) - (target[:, :3] + missing * background)).abs().mean()

    l1 = (difference(-1.0) + difference(1.0)) / 2
    alpha = (straight[:, 3:] - target[:, 3:]).abs().mean()
    parts = {"l1": l1.detach(), "alpha": alpha.detach()}
    total = l1 + 0.5 * alpha
    if perceptual is not None:
        colour = torch.rand(len(target), 3, 1, 1, generator=generator, device=target.device) * 2 - 1
        features = perceptual(composite(straight, colour), target[:, :3] + missing * colour)
        total, parts["perceptual"] = total + weight * features, features.detach()
    return total, parts


class Autoencoder(nn.Module):
    """Encoder and teacher decoder as one forward pass."""

    def __init__(self, encoder: Encoder, decoder: TeacherDecoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, images: Tensor, noise: Tensor) -> Tensor:
        """Pictures (B, 4, H, W), noise for the latent (B, C, h, w) -> straight RGBA (B, 4, H, W)."""
        return self.decoder(self.encoder(images) + noise)


class AutoencoderTask:
    """Trains encoder and teacher decoder on the picture loss.

    Latents have unit variance by construction; noise of up to NOISE on them takes the place of a variational term: it
    bounds what they can carry and makes the decoder forgive a denoiser's small errors.
    """

    NOISE = 0.2  # largest standard deviation
    MEASURED = (32, 64)  # batches, and pictures in each, that give the batch norm its statistics

    def __init__(
        self,
        encoder: Encoder,
        decoder: TeacherDecoder,
        batches: StickerBatches,
        perceptual: nn.Module | None,
        weight: float,
    ):
        self.networks: dict[str, nn.Module] = {"autoencoder": Autoencoder(encoder, decoder)}
        self.frozen: dict[str, nn.Module] = {} if perceptual is None else {"perceptual": perceptual}
        self.batches, self.weight = batches, weight
        self.latent_channels = encoder.latent_channels

    def turn(self, step: int) -> str:
        return "autoencoder"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        _, images = self.batches.draw(batch_size, generator)
        noise = latent_noise(images, self.latent_channels, self.NOISE, generator)
        straight = self.networks[turn](images, noise)
        return Loss(*picture_loss(straight, images, generator, self.frozen.get("perceptual"), self.weight))

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        """Encoder, whose batch norm is measured anew for the averaged weights, and teacher decoder."""
        autoencoder: Any = averaged["autoencoder"]
        generator = torch.Generator(autoencoder.decoder.entry.weight.device).manual_seed(0)
        batches = (self.batches.draw(self.MEASURED[1], generator)[1] for _ in range(self.MEASURED[0]))
        update_bn(batches, autoencoder.encoder)
        autoencoder.encoder.save_component(folder)
        autoencoder.decoder.save_component(folder)


def latent_noise(images: Tensor, channels: int, largest: float, generator: torch.Generator) -> Tensor:
    """Normal noise for latents of `images` (B, 4, H, W), each with a deviation uniform in [0, largest].

    -> (B, channels, H / 16, W / 16).
    """
    count, size = len(images), images.shape[-1] // 16
    deviation = largest * torch.rand(count, 1, 1, 1, generator=generator, device=images.device)
    return deviation * torch.randn(count, channels, size, size, generator=generator, device=images.device)
