"""How weights lie on disk: those that are whole multiples of a scale a channel take 8 bits and lose nothing by it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from mobigen.nn.fake_quant import HIGHEST, exact_scale

__all__ = ["on_grid", "packed", "read_weights"]

SCALE = "_scale"  # behind the name of a tensor in 8 bits: the float32 tensor to multiply it by
FEWEST = 5  # values a channel; with fewer the scale takes what 8 bits save over 16


def on_grid(weight: Tensor) -> bool:
    """Whether every value is one of -127 ... 127 times a scale of its output channel (axis 0), exactly."""
    if weight.dtype != torch.float32 or weight.dim() < 2 or weight[0].numel() < FEWEST:
        return False
    scale = exact_scale(weight)
    return torch.equal((weight / scale).round().clamp(-HIGHEST, HIGHEST) * scale, weight)


def packed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights, where those on a grid are int8 beside their float32 scales, as `read_weights` takes them."""
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if on_grid(weight):
            stored[name + SCALE] = exact_scale(weight)
            stored[name] = (weight / stored[name + SCALE]).round().to(torch.int8)
        else:
            stored[name] = weight
    return stored


def read_weights(folder: str | Path, device: str = "cpu") -> dict[str, Tensor]:
    """All tensors in the safetensors files of a folder; those in 8 bits with a scale beside them as float32.

    Raises:
        FileNotFoundError: there is no such file.
        OSError, SafetensorError: one is damaged.
        ValueError: a tensor in 8 bits has lost its scale.
    """
    files = sorted(Path(folder).glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder} has no *.safetensors")
    stored = {name: value for file in files for name, value in load_file(file, device).items()}
    scales = {name: stored.pop(name + SCALE) for name in list(stored) if name + SCALE in stored}
    if lost := [name for name, value in stored.items() if value.dtype == torch.int8 and name not in scales]:
        raise ValueError(f"{lost[0]} is in 8 bits, and there is no {lost[0]}{SCALE}")
    return {name: value * scales[name] if name in scales else value for name, value in stored.items()}
