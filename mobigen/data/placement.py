"""Where things go in a scene: moved as wholes, onto an object, or beside it, touching its outline."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["moved", "place_beside", "place_in"]

GAPS = (1, 3)  # cells between neighbours at most, drawn for each: they touch, or stand a little apart
COVERED = 0.03  # of a neighbour's area, how much may lie over what is there
VISIBLE = 0.6  # and how much of it has to lie in the picture


def moved(layers: Tensor, angle: Tensor, scale: Tensor, shift: Tensor, mirror: Tensor) -> Tensor:
    """Each picture (B, C, S, S) turned, scaled about its middle and shifted by half sides; zeros come in."""
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    rows = torch.stack([cosine * mirror, sine * mirror, -sine, cosine], 1).reshape(-1, 2, 2)
    offset = -torch.matmul(rows, shift[:, :, None])
    grid = F.affine_grid(torch.cat([rows, offset], 2), list(layers.shape), align_corners=False)
    return F.grid_sample(layers, grid, padding_mode="zeros", align_corners=False)


def place_in(whole: Tensor, generator: torch.Generator) -> Tensor:
    """A random place in each object (B, 1, S, S), as a shift from the middle in half sides: (B, 2)."""
    small = F.avg_pool2d(whole, 8)[:, 0]
    noise = torch.rand(small.shape, generator=generator, device=small.device)
    chosen = ((small > 0.5) * (1 + noise)).flatten(1).argmax(1)
    side = small.shape[-1]
    return torch.stack([chosen % side, chosen // side], 1).float() / side * 2 - 1


def place_beside(thing: Tensor, whole: Tensor, taken: Tensor, window: Tensor, generator: torch.Generator) -> Tensor:
    """A random place for each thing where it touches an object, or nearly, and covers next to nothing.

    Every place is tried, by correlation of the masks: they had better be small. Where none will do, it is one that
    covers little and lies in the picture.

    Args:
        thing: (B, 1, s, s), alpha of what is to be placed, in the middle.
        whole: (B, 1, s, s), alpha of the objects that are to be touched.
        taken: (B, 1, s, s), alpha of all that should stay uncovered.
        window: (B, 1, s, s), where the picture is.
        generator: on their device.

    Returns:
        Shifts from the middle in half sides: (B, 2), x and y.
    """
    thing, whole, taken, window = ((each > 0.5).float() for each in (thing, whole, taken, window))
    count, _, side, _ = thing.shape
    near, far = (F.max_pool2d(whole, 2 * gap + 1, 1, gap) for gap in GAPS)
    apart = torch.rand(count, 1, 1, 1, generator=generator, device=thing.device) < 0.5
    ground = torch.cat([torch.where(apart, far, near), taken, window], 1)
    sides = (2 * side, 2 * side)  # twice as large, so that nothing comes back in on the other side
    found = torch.fft.irfft2(torch.fft.rfft2(ground, s=sides) * torch.fft.rfft2(thing, s=sides).conj(), s=sides)
    area = thing.sum((2, 3)).clamp(min=1)[:, :, None]
    touched, covered, visible = (found / area[:, :, None]).unbind(1)
    fits = (touched * area > 0.5) & (covered < COVERED) & (visible > VISIBLE)
    noise = torch.rand(fits.shape, generator=generator, device=thing.device)
    chosen = torch.where(fits, 1 + noise, visible.clamp(max=VISIBLE) - covered - 1).flatten(1).argmax(1)
    cells = torch.stack([chosen % (2 * side), chosen // (2 * side)], 1)
    return torch.where(cells >= side, cells - 2 * side, cells).float() * (2 / side)
