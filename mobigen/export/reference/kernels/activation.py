"""Activations and normalisations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mobigen.export.reference.kernels.arithmetic import unary

__all__ = ["ACTIVATION"]

Ints = tuple[int, ...]


def clamped_relu(x: Tensor, alpha: float, beta: float) -> Tensor:
    """min(beta, x) where x >= 0, min(beta, alpha x) elsewhere."""
    return torch.where(x >= 0, x, alpha * x).clamp(max=beta)


def elu(x: Tensor, alpha: float) -> Tensor:
    """x where x > 0, alpha (e^x - 1) elsewhere."""
    return torch.where(x > 0, x, alpha * torch.expm1(x))


def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """x Phi(x), or one of its two approximations."""
    if mode == "EXACT":
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    if mode == "TANH_APPROXIMATION":
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    raise ValueError(f"there is no mode {mode!r}")


def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    """x where x >= 0, alpha x elsewhere."""
    return torch.where(x >= 0, x, alpha * x)


def linear_activation(x: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha x + beta."""
    return alpha * x + beta


def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """x where x > 0, alpha_c x elsewhere, c along axis 1."""
    return torch.where(x > 0, x, per_channel(alpha, x) * x)


def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    """alpha tanh(beta x)."""
    return alpha * torch.tanh(beta * x)


def sigmoid_hard(x: Tensor, alpha: float, beta: float) -> Tensor:
    """min(max(alpha x + beta, 0), 1)."""
    return (alpha * x + beta).clamp(0, 1)


def softplus(x: Tensor) -> Tensor:
    """ln(1 + e^x)."""
    return torch.logaddexp(x, torch.zeros_like(x))


def softplus_parametric(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """alpha_c ln(1 + e^(beta_c x)), c along axis 1."""
    return per_channel(alpha, x) * softplus(per_channel(beta, x) * x)


def thresholded_relu(x: Tensor, alpha: float) -> Tensor:
    """x where x >= alpha, 0 elsewhere."""
    return torch.where(x >= alpha, x, torch.zeros_like(x))


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """e^x / sum of e^x along the axis."""
    return torch.softmax(x, axis)


def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, all by channel, axis 1."""
    normed = (x - per_channel(mean, x)) / torch.sqrt(per_channel(variance, x) + epsilon)
    return _scaled(normed, gamma, beta)


def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> Tensor:
    """(n, C, ...): every channel of every sample to mean 0 and variance 1, then gamma and beta by channel."""
    return _scaled(_standardised(x, tuple(range(2, x.dim())), epsilon), gamma, beta)


def layer_norm(
    x: Tensor,
    axes: Ints | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta over `axes`; gamma and beta have the sizes of the axes."""
    over = tuple(range(x.dim())) if axes is None else tuple(axis % x.dim() for axis in axes)
    shape = [size if axis in over else 1 for axis, size in enumerate(x.shape)]
    normed = _standardised(x, over, epsilon)
    if gamma is not None:
        normed = normed * gamma.reshape(shape)
    return normed if beta is None else normed + beta.reshape(shape)


def l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """x / sqrt(sum of x^2 over the last three axes + epsilon)."""
    return x / torch.sqrt(x.square().sum((-3, -2, -1), keepdim=True) + epsilon)


def local_response_norm(x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta."""
    squares = x.square()
    padded = torch.nn.functional.pad(squares.movedim(1, -1), (size // 2, (size - 1) // 2))
    sums = padded.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    return x / (k + alpha / size * sums) ** beta


def per_channel(vector: Tensor, x: Tensor) -> Tensor:
    """(C,) -> (1, C, 1, ...) of the rank of x."""
    return vector.reshape(1, -1, *[1] * (x.dim() - 2))


def _standardised(x: Tensor, axes: Ints, epsilon: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(axes, keepdim=True) + epsilon)


def _scaled(x: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
    if gamma is not None:
        x = x * per_channel(gamma, x)
    return x if beta is None else x + per_channel(beta, x)


ACTIVATION: Mapping[str, Callable[..., Any]] = {
    "batch_norm": batch_norm,
    "clamped_relu": clamped_relu,
    "elu": elu,
    "gelu": gelu,
    "instance_norm": instance_norm,
    "l2_norm": l2_norm,
    "layer_norm": layer_norm,
    "leaky_relu": leaky_relu,
    "linear_activation": linear_activation,
    "local_response_norm": local_response_norm,
    "prelu": prelu,
    "relu": unary(torch.relu),
    "relu6": unary(lambda x: x.clamp(0, 6)),
    "scaled_tanh": scaled_tanh,
    "sigmoid": unary(torch.sigmoid),
    "sigmoid_hard": sigmoid_hard,
    "silu": unary(lambda x: x * torch.sigmoid(x)),
    "softmax": softmax,
    "softplus": softplus,
    "softplus_parametric": softplus_parametric,
    "softsign": unary(lambda x: x / (1 + x.abs())),
    "thresholded_relu": thresholded_relu,
}
