"""Weights on the grid of their 8-bit form: what a graph in int8-weights then computes is the network itself.

A network that walks in few long steps magnifies what rounding does to its weights. Rounded before they are saved and
scored, they lose nothing when they are exported; and saved they take 8 bits each (`mobigen.models.packing`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mobigen.nn.fake_quant import HIGHEST, exact_scale, fake_quantize
from mobigen.quantization.layers import kind_of

__all__ = ["snap_weights"]


@torch.no_grad()
def snap_weights(network: nn.Module) -> None:
    """Rounds the weights of all layers, in place, to whole multiples of each output channel's largest over 127.

    Whoever rounds them again finds the same multiples and changes nothing.
    """
    for module in network.modules():
        if kind_of(module) is not None:
            weight: Tensor = module.weight  # type: ignore[assignment]  # all these have one
            weight.copy_(fake_quantize(weight, exact_scale(weight), 0.0, -HIGHEST, HIGHEST))
