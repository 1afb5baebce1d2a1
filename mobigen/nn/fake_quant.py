"""Fake quantisation: float layers that compute what their 8-bit graphs will, and that learn through the rounding.

Jacob et al., arXiv 1712.05877: r = S (q - Z) of eq. 1, for integers q and a zero point Z, so that zero is exact.
Weights have a scale a channel and Z = 0; activations one scale a tensor, from the moving average of their extremes.
All of it is computed in float32, also under autocast: bfloat16 cannot hold 255 steps of an arbitrary size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = [
    "HIGHEST",
    "LOWEST",
    "ActivationRange",
    "QuantizedLayer",
    "activation_grid",
    "exact_scale",
    "fake_quantize",
    "weight_scale",
]

LOWEST, HIGHEST = -128, 127  # int8, as LiteRT holds activations; weights leave out -128, so that they are symmetric
SMALLEST_RANGE = 1e-9  # a tensor that is all zeros still has a scale


def fake_quantize(x: Tensor, scale: Tensor, zero_point: Tensor | float, lowest: int, highest: int) -> Tensor:
    """Round to the grid: S (clamp(round(x / S) + Z, lowest, highest) - Z), eq. 12.

    The gradient is that of the identity where the integer is inside the range and zero outside; the rounding, which
    has none, is passed over. The value is exact: no float32 sum stands between the integer and the result.

    Args:
        x: float32.
        scale, zero_point: broadcast against x; they get no gradient.
        lowest, highest: of the integers.
    """
    integer = torch.round(x / scale) + zero_point
    kept = integer.clamp(lowest, highest)
    through = torch.where(integer == kept, x - x.detach(), 0.0)
    return ((kept - zero_point) * scale).detach() + through


def activation_grid(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and zero point of a range, widened to hold zero and nudged so that an integer stands for it (sec. 3.1)."""
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    scale = (high - low).clamp(min=SMALLEST_RANGE) / (HIGHEST - LOWEST)
    return scale, torch.round(LOWEST - low / scale)


def weight_scale(weight: Tensor) -> Tensor:
    """The scale of each output channel (axis 0), its largest magnitude over 127, in a shape that broadcasts."""
    largest = weight.detach().abs().amax(dim=tuple(range(1, weight.dim())), keepdim=True)
    return largest.clamp(min=SMALLEST_RANGE) / HIGHEST


def exact_scale(weight: Tensor) -> Tensor:
    """`weight_scale` with 16 significant bits: its multiples to 127 are exact in float32, and it is found in them."""
    mantissa, exponent = torch.frexp(weight_scale(weight))
    return torch.ldexp((mantissa * 2**16).round() / 2**16, exponent)


class ActivationRange(nn.Module):
    """Fake quantisation of activations, whose range is the moving average of the extremes of each training pass.

    The average begins as a plain mean, so that the first passes do not weigh more than others. In evaluation mode
    nothing changes, and the activations are quantised as soon as a range was seen.

    Args:
        decay: of the moving average, in [0, 1).
        delay: training passes before activations are quantised, while the range settles.
        freeze: training passes after which the range stays; None for never.
        fixed: a range that is known, of pixels say, and not learned.
    """

    low: Tensor
    high: Tensor
    passes: Tensor

    def __init__(
        self,
        decay: float = 0.99,
        delay: int = 0,
        freeze: int | None = None,
        fixed: tuple[float, float] | None = None,
    ):
        super().__init__()
        self.decay, self.delay, self.freeze, self.fixed = decay, delay, freeze, fixed
        low, high = fixed or (0.0, 0.0)
        self.register_buffer("low", torch.tensor(low))
        self.register_buffer("high", torch.tensor(high))
        self.register_buffer("passes", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """x of any shape -> the same values on the grid, in float32."""
        x = x.float()
        if self.training:
            self._observe(x.detach())
        on_grid = fake_quantize(x, *activation_grid(self.low.float(), self.high.float()), LOWEST, HIGHEST)
        if self.training:
            return torch.where(self.passes > self.delay, on_grid, x)
        return on_grid if self.fixed else torch.where(self.passes > 0, on_grid, x)

    def _observe(self, x: Tensor) -> None:
        """Move the range; a pass with a number that is not finite is not counted, for its update is skipped too."""
        low, high = torch.aminmax(x)
        finite = torch.isfinite(low) & torch.isfinite(high)
        if self.fixed is None:
            weight = (1.0 / (self.passes + 1)).clamp(min=1 - self.decay)
            if self.freeze is not None:
                weight = torch.where(self.passes < self.freeze, weight, 0.0)
            for mine, found in ((self.low, low), (self.high, high)):
                mine += torch.where(finite, found - mine, 0.0) * weight
        self.passes += finite


class QuantizedLayer(nn.Module):
    """A layer with a `weight` (a convolution, a linear layer) in the place of which it stands.

    Args:
        layer: the layer itself, whose parameters are trained.
        before: of its input; None if the input is on a grid already, or stays in float.
        bounds: of the activation function that runtimes fuse into the layer, if it is a clamp. The network still
            applies its own behind this; once more changes nothing.
        after: of its output; None if that stays in float.
        source: the name of the layer on whose grid the input is already, if it is.
    """

    def __init__(
        self,
        layer: nn.Module,
        before: ActivationRange | None = None,
        bounds: tuple[float, float] | None = None,
        after: ActivationRange | None = None,
        source: str = "",
    ):
        super().__init__()
        self.layer, self.before, self.bounds, self.after, self.source = layer, before, bounds, after, source

    def forward(self, x: Tensor) -> Tensor:
        """As the layer's own; under autocast the result is float32."""
        parameters = dict(self.layer.named_parameters())
        dtype = parameters["weight"].dtype
        with torch.autocast(x.device.type, enabled=False):
            exact = {name: each.float() for name, each in parameters.items()}
            scale = weight_scale(exact["weight"])
            exact["weight"] = fake_quantize(exact["weight"], scale, 0.0, -HIGHEST, HIGHEST)
            x = x.float() if self.before is None else self.before(x)
            y = functional_call(self.layer, exact, (x,))
            if self.bounds is not None:
                y = y.clamp(*self.bounds)
            return (y if self.after is None else self.after(y)).to(dtype)
