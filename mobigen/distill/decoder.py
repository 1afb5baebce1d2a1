"""Distils the decoder that ships from the teacher decoder, by output and features (Turbo-VAED, arXiv 2508.09136)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.data.stickers import StickerBatches
from mobigen.models.autoencoder import Decoder, Encoder, PyramidDecoder, TeacherDecoder
from mobigen.train.pictures import latent_noise, picture_loss
from mobigen.train.task import Loss

__all__ = ["DecoderDistillation"]


class FeaturePyramid(nn.Module):
    """A decoder that also gives the maps of its three levels."""

    def __init__(self, decoder: PyramidDecoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, latent: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Latent (B, C, h, w) -> straight RGBA, and the features of the three levels."""
        features = self.decoder.features(latent)
        return self.decoder.head(features[-1]), features


class DecoderStudent(nn.Module):
    """The small decoder, with a projection a level into the teacher's feature space; they are discarded at the end."""

    def __init__(self, decoder: Decoder, teacher: TeacherDecoder):
        super().__init__()
        self.pyramid = FeaturePyramid(decoder)
        pairs = zip(decoder.widths, teacher.widths, strict=True)
        self.projections = nn.ModuleList(nn.Conv2d(mine, theirs, 1) for mine, theirs in pairs)

    def forward(self, latent: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Latent (B, C, h, w) -> straight RGBA, and the projected features of the three levels."""
        straight, features = self.pyramid(latent)
        return straight, [project(feature) for project, feature in zip(self.projections, features, strict=True)]


class DecoderDistillation:
    """Loss: the picture loss against the real picture, L1 to the teacher's, and normalised feature errors."""

    NOISE = 0.25  # largest deviation of the noise on latents: the shipped decoder reads what a few-step sampler makes
    OUTPUT_WEIGHT, FEATURE_WEIGHT = 0.5, 0.1

    def __init__(
        self,
        decoder: Decoder,
        encoder: Encoder,
        teacher: TeacherDecoder,
        batches: StickerBatches,
        perceptual: nn.Module | None,
        weight: float,
    ):
        self.networks: dict[str, nn.Module] = {"decoder": DecoderStudent(decoder, teacher)}
        self.frozen: dict[str, nn.Module] = {"encoder": encoder, "teacher": FeaturePyramid(teacher)}
        if perceptual is not None:
            self.frozen["perceptual"] = perceptual
        self.batches, self.weight = batches, weight
        self.latent_channels = encoder.latent_channels

    def turn(self, step: int) -> str:
        return "decoder"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        _, images = self.batches.draw(batch_size, generator)
        with torch.no_grad():
            clean = self.frozen["encoder"](images)
            target, wanted = self.frozen["teacher"](clean)
        noise = latent_noise(images, self.latent_channels, self.NOISE, generator)
        straight, projected = self.networks[turn](clean + noise)
        total, parts = picture_loss(straight, images, generator, self.frozen.get("perceptual"), self.weight)
        visible = (images[:, 3:] + 1) / 2
        output = ((straight.float() - target.float())[:, :3] * visible).abs().mean()
        errors = [_relative_error(mine, theirs) for mine, theirs in zip(projected, wanted, strict=True)]
        features = torch.stack(errors).mean()
        parts = {**parts, "output": output.detach(), "features": features.detach()}
        return Loss(total + self.OUTPUT_WEIGHT * output + self.FEATURE_WEIGHT * features, parts)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        student: Any = averaged["decoder"]
        student.pyramid.decoder.save_component(folder)


def _relative_error(feature: Tensor, target: Tensor) -> Tensor:
    """Mean squared error as a share of the target's mean square."""
    target = target.float()
    return F.mse_loss(feature.float(), target) / target.square().mean().clamp(min=1e-6)
