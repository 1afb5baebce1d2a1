"""ImageNet weights for the cutout model's trunk: MobileNetV2 with its batch norms folded into its convolutions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from mobigen.errors import WeightsError
from mobigen.models.segmenter import ImageEncoder
from mobigen.nn.mobile import ConvNorm, RepConv

__all__ = ["load_mobilenet_v2"]


@torch.no_grad()
def load_mobilenet_v2(encoder: ImageEncoder, path: Path, pictures: Iterable[Tensor]) -> None:
    """Gives the trunk of `encoder` the weights in `path`, and its batch norms what `pictures` do to them.

    The file's convolutions have their batch norms folded in. Here each gets one anew that changes nothing: its
    running statistics are those measured on the pictures, its weight and bias undo them. So the trunk computes what
    the file does, and trains as if it had never been folded.

    Args:
        encoder: not fused.
        path: safetensors, `layerNN.convN.weight` and `.bias` in the network's order; what comes after the trunk
            is left out.
        pictures: batches (B, S, S, 3) as the encoder takes them, of any size; at least one.

    Raises:
        WeightsError: the file is missing, or holds convolutions of other shapes.
    """
    units = [module.main for module in encoder.trunk.modules() if isinstance(module, RepConv) and module.main]
    for unit, (weight, bias) in zip(units, _convolutions(path, len(units)), strict=True):
        if unit.conv.weight.shape != weight.shape:
            shapes = tuple(weight.shape), tuple(unit.conv.weight.shape)
            raise WeightsError(f"{path} has a convolution {shapes[0]}, the trunk {shapes[1]}")
        unit.conv.weight.copy_(weight)
        _set_norm(unit.norm, torch.zeros_like(bias), torch.full_like(bias, 1 - unit.norm.eps), bias)
    for unit, mean, variance in _statistics(encoder, units, pictures):
        _set_norm(unit.norm, mean, variance, unit.norm.bias + mean)


def _set_norm(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, bias: Tensor) -> None:
    """Statistics, and the weight that undoes the division by their deviation."""
    norm.get_buffer("running_mean").copy_(mean)
    norm.get_buffer("running_var").copy_(variance)
    norm.weight.copy_(torch.sqrt(variance + norm.eps))
    norm.bias.copy_(bias)


def _convolutions(path: Path, count: int) -> list[tuple[Tensor, Tensor]]:
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"no MobileNetV2 features in {path}: {' '.join(str(error).split())}") from error
    names = sorted(name.removesuffix(".weight") for name in weights if name.endswith(".weight"))
    if len(names) < count or any(f"{name}.bias" not in weights for name in names):
        raise WeightsError(f"{path} has {len(names)} convolutions, the trunk needs {count}, each with a bias")
    return [(weights[f"{name}.weight"].float(), weights[f"{name}.bias"].float()) for name in names[:count]]


def _statistics(
    encoder: ImageEncoder, units: list[ConvNorm], pictures: Iterable[Tensor]
) -> list[tuple[ConvNorm, Tensor, Tensor]]:
    """Each of `units` with the mean and variance, by channel, of what its convolution gives."""
    moments: list[list[Tensor]] = [[] for _ in units]
    handles = [
        unit.conv.register_forward_hook(
            lambda module, inputs, output, kept=kept: kept.append(
                torch.stack([output.mean((0, 2, 3)), output.square().mean((0, 2, 3))])
            )
        )
        for unit, kept in zip(units, moments, strict=True)
    ]
    training = encoder.training
    encoder.eval()
    for batch in pictures:
        encoder(batch)
    encoder.train(training)
    for handle in handles:
        handle.remove()
    found = [torch.stack(kept).mean(0) for kept in moments]
    return [
        (unit, mean, (square - mean.square()).clamp(min=0)) for unit, (mean, square) in zip(units, found, strict=True)
    ]
