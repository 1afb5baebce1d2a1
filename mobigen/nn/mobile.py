"""Mobile blocks that are wide while they learn and one convolution each when they ship.

`RepConv` is MobileOne's unit (Vasu et al., arXiv 2206.04040, section 3.2) and RepViT's token mixer (Wang et al., arXiv
2307.09283, figure 3); `UniversalBottleneck` is MobileNetV4's (Qin et al., arXiv 2404.10518, section 4), of which
MobileNetV2's inverted residual is one setting. All use ReLU6, which quantises well and stays small in float16.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConvNorm", "RepConv", "UniversalBottleneck", "collapsed_state"]


class ConvNorm(nn.Module):
    """A convolution without bias, then batch norm."""

    def __init__(self, dim: int, out: int, kernel: int, stride: int, groups: int):
        super().__init__()
        self.conv = nn.Conv2d(dim, out, kernel, stride, kernel // 2, groups=groups, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out" if groups == 1 else "fan_in")
        self.norm = nn.BatchNorm2d(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class RepConv(nn.Module):
    """conv-norm(x), and with `branches` also 1x1-conv-norm(x) and norm(x): a sum that collapses into one convolution.

    Batch norm of the added branches starts at zero, so that weights trained elsewhere can be loaded into the first.
    """

    def __init__(
        self,
        dim: int,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
        branches: bool = True,
        fused: bool = False,
    ):
        super().__init__()
        self.active, self.kernel, self.groups = active, kernel, groups
        self.conv: nn.Conv2d | None = None
        self.main: ConvNorm | None = None
        self.scale: ConvNorm | None = None
        self.skip: nn.BatchNorm2d | None = None
        if fused:
            self.conv = nn.Conv2d(dim, out, kernel, stride, kernel // 2, groups=groups)
            return
        self.main = ConvNorm(dim, out, kernel, stride, groups)
        if branches and kernel > 1:
            self.scale = ConvNorm(dim, out, 1, stride, groups)
            nn.init.zeros_(self.scale.norm.weight)
        if branches and dim == out and stride == 1:
            self.skip = nn.BatchNorm2d(dim)
            nn.init.zeros_(self.skip.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H, W) -> (B, out, H / stride, W / stride)."""
        y = self._sum(x)
        return F.relu6(y) if self.active else y

    def _sum(self, x: Tensor) -> Tensor:
        if self.conv is not None:
            return self.conv(x)
        assert self.main is not None
        y = self.main(x)
        if self.scale is not None:
            y = y + self.scale(x)
        return y if self.skip is None else y + self.skip(x)

    @torch.no_grad()
    def collapsed(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that does the same in evaluation mode."""
        if self.conv is not None:
            assert self.conv.bias is not None
            return self.conv.weight, self.conv.bias
        assert self.main is not None
        weight, bias = _folded(self.main.conv.weight, self.main.norm)
        if self.scale is not None:
            point, more = _folded(self.scale.conv.weight, self.scale.norm)
            weight, bias = weight + self._centred(point), bias + more
        if self.skip is not None:
            point, more = _folded(self._identity(weight), self.skip)
            weight, bias = weight + self._centred(point), bias + more
        return weight, bias

    def _centred(self, point: Tensor) -> Tensor:
        """A 1x1 kernel as the centre of a larger one."""
        return F.pad(point, [self.kernel // 2] * 4)

    def _identity(self, weight: Tensor) -> Tensor:
        """The 1x1 kernel that changes nothing, (out, dim / groups, 1, 1)."""
        inner = weight.shape[1]
        channel = torch.arange(len(weight), device=weight.device) % inner
        return F.one_hot(channel, inner).to(weight.dtype)[:, :, None, None]


def _folded(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Batch norm with its running statistics, folded into the kernel before it: weight and bias."""
    variance, mean = norm.get_buffer("running_var"), norm.get_buffer("running_mean")
    factor = norm.weight / torch.sqrt(variance + norm.eps)
    return weight * factor[:, None, None, None], norm.bias - mean * factor


class UniversalBottleneck(nn.Module):
    """[depthwise] -> 1x1 expand -> [depthwise] -> 1x1 project, plus its input where sizes allow; 0 leaves one out."""

    def __init__(
        self,
        dim: int,
        out: int,
        start: int = 0,  # kernel of the depthwise convolution before the expansion
        middle: int = 3,  # and of the one after it
        expansion: float = 2,
        stride: int = 1,  # of the one in the middle
        branches: bool = True,
        fused: bool = False,
    ):
        super().__init__()
        hidden = int(dim * expansion)
        options = {"branches": branches, "fused": fused}
        layers: list[nn.Module] = []
        if start:
            layers.append(RepConv(dim, dim, start, groups=dim, active=False, **options))
        if hidden != dim:
            layers.append(RepConv(dim, hidden, **options))
        if middle:
            layers.append(RepConv(hidden, hidden, middle, stride, groups=hidden, **options))
        layers.append(RepConv(hidden, out, active=False, **options))
        self.layers = nn.Sequential(*layers)
        self.residual = dim == out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, H, W) -> (B, out, H / stride, W / stride)."""
        return x + self.layers(x) if self.residual else self.layers(x)


def collapsed_state(network: nn.Module) -> dict[str, Tensor]:
    """The state of `network` for the same one built with `fused=True`: every RepConv as one convolution."""
    units = {f"{name}.": module for name, module in network.named_modules() if isinstance(module, RepConv)}
    state = {name: value for name, value in network.state_dict().items() if not name.startswith(tuple(units))}
    for name, unit in units.items():
        state[f"{name}conv.weight"], state[f"{name}conv.bias"] = unit.collapsed()
    return state
