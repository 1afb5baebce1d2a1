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
from mobigen.nn.mobile import RepConv

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
    units = [module for module in encoder.trunk.modules() if isinstance(module, RepConv)]
    for unit, (weight, bias) in zip(units, _convolutions(path, len(units)), strict=True):
        conv, norm = _pair(unit)
        if conv.weight.shape != weight.shape:
            raise WeightsError(f"{path} has a convolution {tuple(weight.shape)}, the trunk {tuple(conv.weight.shape)}")
        conv.weight.copy_(weight)
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.fill_(1)
        norm.bias.copy_(bias)
    for norm, mean, variance in _statistics(encoder, units, pictures):
        norm.bias += mean
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)


def _convolutions(path: Path, count: int) -> list[tuple[Tensor, Tensor]]:
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"no MobileNetV2 features in {path}: {' '.join(str(error).split())}") from error
    names = sorted(name.removesuffix(".weight") for name in weights if name.endswith(".weight"))
    if len(names) < count or any(f"{name}.bias" not in weights for name in names):
        raise WeightsError(f"{path} has {len(names)} convolutions, the trunk needs {count}, each with a bias")
    return [(weights[f"{name}.weight"].float(), weights[f"{name}.bias"].float()) for name in names[:count]]


def _pair(unit: RepConv) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    assert unit.main is not None
    conv, norm = unit.main
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return conv, norm


def _statistics(
    encoder: ImageEncoder, units: list[RepConv], pictures: Iterable[Tensor]
) -> list[tuple[nn.BatchNorm2d, Tensor, Tensor]]:
    """Each batch norm of `units` with the mean and variance, by channel, of what its convolution gives it."""
    moments: list[list[Tensor]] = [[] for _ in units]

    def watch(kept: list[Tensor]) -> object:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            kept.append(torch.stack([output.mean((0, 2, 3)), output.square().mean((0, 2, 3))]))

        return hook

    handles = [_pair(unit)[0].register_forward_hook(watch(kept)) for unit, kept in zip(units, moments, strict=True)]
    training = encoder.training
    encoder.eval()
    for batch in pictures:
        encoder(batch)
    encoder.train(training)
    for handle in handles:
        handle.remove()
    found = [torch.stack(kept).mean(0) for kept in moments]
    return [
        (_pair(unit)[1], mean, (square - mean.square()).clamp(min=0))
        for unit, (mean, square) in zip(units, found, strict=True)
    ]
