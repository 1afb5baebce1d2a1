"""Clicks and boxes as maps, from a fixed number of padded points; the same labels as in Segment Anything.

Labels: 1 is a click on the object, 0 one beside it, 2 and 3 the corners of a box, -1 padding. Every map is an outer
product of two rows, so that many points on a large map cost one small matrix product.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["BOX_END", "BOX_START", "NEGATIVE", "PADDING", "POSITIVE", "PromptMaps"]

PADDING, NEGATIVE, POSITIVE, BOX_START, BOX_END = -1, 0, 1, 2, 3


class PromptMaps(nn.Module):
    """Points -> four maps: clicks on the object, clicks beside it, inside of the box, outside of it.

    Without a box both of its maps are zero. Clicks are Gaussians of one cell, summed and cut at 1. Coordinates are
    counted in cells, where their squares fit into float16.
    """

    centres: Tensor

    def __init__(self, image_size: int, cells: int):
        """`image_size`: pixels a side that points are given in; `cells`: of the maps, a side."""
        super().__init__()
        self.scale = cells / image_size
        self.register_buffer("centres", torch.arange(cells) + 0.5, persistent=False)

    def forward(self, points: Tensor, labels: Tensor) -> Tensor:
        """`points` (B, P, 2), x and y of pixels; `labels` (B, P) -> (B, 4, cells, cells) in [0, 1]."""
        places = (points + 0.5) * self.scale
        columns, rows = self._bump(places[:, :, :1]), self._bump(places[:, :, 1:])  # (B, P, cells)
        clicks = [self._clicks(rows, columns, labels == label, points) for label in (POSITIVE, NEGATIVE)]
        start, end = (self._corner(places, labels == label) for label in (BOX_START, BOX_END))
        boxed = (labels == BOX_START).to(points.dtype).sum(1)[:, None, None].clamp(max=1.0)  # (B, 1, 1)
        span = (self.centres - start + 0.5).clamp(0.0, 1.0) * (end - self.centres + 0.5).clamp(0.0, 1.0)
        inside = boxed * torch.matmul(span[:, 1:].transpose(1, 2), span[:, :1])
        return torch.stack([*clicks, inside, boxed - inside], dim=1)

    def _bump(self, place: Tensor) -> Tensor:
        """(B, P, 1) -> (B, P, cells); what is over 16 cells away is cut, lest its square grow."""
        distance = (self.centres - place).clamp(-16.0, 16.0)
        return torch.exp(-0.5 * distance * distance)

    def _clicks(self, rows: Tensor, columns: Tensor, chosen: Tensor, points: Tensor) -> Tensor:
        weighted = rows * chosen.to(points.dtype)[:, :, None]
        return torch.matmul(weighted.transpose(1, 2), columns).clamp(max=1.0)

    def _corner(self, places: Tensor, chosen: Tensor) -> Tensor:
        """The place of the chosen point, (B, 2, 1); zero without one."""
        return (places * chosen.to(places.dtype)[:, :, None]).sum(1)[:, :, None]
