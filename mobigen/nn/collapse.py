"""Convolutions that train as several linear layers and run as one: whatever is linear folds into a single kernel.

Where no batch norm is in the way they are collapsed at every training step: the small kernel is made from the large
layers, and it alone meets the pictures, so a step costs hardly more than one of the plain network (SESR, arXiv
2103.09404, section 3).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BranchedConv", "CollapsibleConv", "ExpandedConv", "Kernel", "NormedBranches"]

BRANCH_SHAPES = {  # of NormedBranches, by the side of the kernel that they add up to
    1: ((1, 1),),
    3: ((3, 3), (1, 1), (3, 1), (1, 3)),
    5: ((5, 5), (3, 3), (1, 1), (3, 1), (1, 3)),
}


class Kernel(NamedTuple):
    """What a convolution multiplies by and adds: `weight` (out, in, k, k) and `bias` (out,)."""

    weight: Tensor
    bias: Tensor


class CollapsibleConv(nn.Module):
    """A convolution of stride 1 and odd kernel, zeros around; a subclass says what its kernel is made of."""

    kernel: int  # its side

    def collapse(self) -> Kernel:
        """The kernel of the one convolution that does the same."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        with torch.autocast(x.device.type, enabled=False):  # sums of many products, and small: they stay in float32
            weight, bias = self.collapse()
        return F.conv2d(x, weight, bias, padding=self.kernel // 2)


def _chain(first: Tensor, second: Tensor) -> Tensor:
    """The weight of a k x k convolution `first` (p, in, k, k), then a 1x1 `second` (out, p, 1, 1)."""
    return (second.flatten(1) @ first.flatten(1)).unflatten(1, first.shape[1:])


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _identity(channels: int, out_channels: int, kernel: int) -> Tensor:
    """The weight that passes channel i to channel i."""
    return nn.init.dirac_(torch.zeros(out_channels, channels, kernel, kernel))


class ExpandedConv(CollapsibleConv):
    """SESR's collapsible linear block (arXiv 2103.09404, section 3.1): k x k to `hidden` channels, then 1x1 back.

    With `residual` the input is added, one more at the centre tap of each channel. The collapsed bias is exact,
    second.weight @ first.bias + second.bias: zeros are padded before the first layer alone.
    """

    identity: Tensor

    def __init__(self, channels: int, out_channels: int, kernel: int, hidden: int, residual: bool = False):
        super().__init__()
        self.kernel = kernel
        self.first = nn.Conv2d(channels, hidden, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(hidden, out_channels, 1)
        self.register_buffer("identity", _identity(channels, out_channels, kernel) * residual, persistent=False)

    def collapse(self) -> Kernel:
        weight = _chain(self.first.weight, self.second.weight) + self.identity
        return Kernel(weight, self.second.weight.flatten(1) @ _bias(self.first) + _bias(self.second))


class BranchedConv(CollapsibleConv):
    """A 3x3 kernel as a sum of linear branches, in the manner of RepVGG and ECBSR (arXiv 2101.03697).

    The branches: a 3x3; a 3x3 to `hidden` channels and a 1x1 back; a 1x1; the identity, weighted a channel, where
    as many channels come out as go in. All are collapsed at every step, so borders are those of one convolution.
    """

    identity: Tensor
    kernel = 3

    def __init__(self, channels: int, out_channels: int, hidden: int):
        super().__init__()
        self.plain = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.wide = nn.Conv2d(channels, hidden, 3, padding=1, bias=False)
        self.narrow = nn.Conv2d(hidden, out_channels, 1, bias=False)
        self.point = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.passed = nn.Parameter(torch.full((out_channels, 1, 1, 1), float(channels == out_channels)))
        self.register_buffer("identity", _identity(channels, out_channels, 3), persistent=False)

    def collapse(self) -> Kernel:
        weight = self.plain.weight + _chain(self.wide.weight, self.narrow.weight) + self.passed * self.identity
        return Kernel(weight + F.pad(self.point.weight, (1, 1, 1, 1)), _bias(self.plain))


class Branch(nn.Module):
    """A convolution that keeps the size, and perhaps a batch norm."""

    def __init__(self, channels: int, out_channels: int, height: int, width: int, normed: bool):
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, (height, width), padding=(height // 2, width // 2))
        self.norm = nn.BatchNorm2d(out_channels) if normed else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        return self.conv(x) if self.norm is None else self.norm(self.conv(x))

    def collapse(self, kernel: int) -> Kernel:
        """With the batch norm folded in, by its running statistics, and zeros around up to `kernel` a side."""
        weight, bias = self.conv.weight, _bias(self.conv)
        if self.norm is not None:
            mean, variance = self.norm.get_buffer("running_mean"), self.norm.get_buffer("running_var")
            scale = self.norm.weight * torch.rsqrt(variance + self.norm.eps)
            weight, bias = weight * scale[:, None, None, None], (bias - mean) * scale + self.norm.bias
        rows, columns = ((kernel - size) // 2 for size in weight.shape[2:])
        return Kernel(F.pad(weight, (columns, columns, rows, rows)), bias)


class NormedBranches(CollapsibleConv):
    """SYENet's ConvRep (arXiv 2308.08137, section 3.2): every shape of kernel with and without batch norm.

    Each branch is WIDENING times as wide as the result, and a 1x1 merges them all. Batch norm measures what the
    branches give, so training runs them one by one; afterwards they are one kernel.
    """

    WIDENING = 4

    def __init__(self, channels: int, out_channels: int, kernel: int, gain: float = 1.0):
        """`gain` multiplies the result, bias and all."""
        super().__init__()
        self.kernel, self.gain = kernel, gain
        wide = self.WIDENING * out_channels
        self.branches = nn.ModuleList(
            Branch(channels, wide, height, width, normed)
            for normed in (True, False)
            for height, width in BRANCH_SHAPES[kernel]
        )
        self.merge = nn.Conv2d(wide * len(self.branches), out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        return self.merge(torch.cat([branch(x) for branch in self.branches], dim=1)) * self.gain

    def collapse(self) -> Kernel:
        """By the running statistics of the batch norms."""
        folded = [branch.collapse(self.kernel) for branch in self.branches if isinstance(branch, Branch)]
        weight = _chain(torch.cat([each.weight for each in folded]), self.merge.weight)
        bias = self.merge.weight.flatten(1) @ torch.cat([each.bias for each in folded]) + _bias(self.merge)
        return Kernel(weight * self.gain, bias * self.gain)
