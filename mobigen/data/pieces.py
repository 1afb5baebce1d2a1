"""Pieces of pictures: what looks alike, lies together and belongs to one thing; and masks with a piece more or less.

On photos that a network has seen often its masks are right but for their edges, and corrections teach it little. Errors
on new photos are large and follow what is in the picture. So do these pieces: the places of a picture go to the nearest
of a few seeds by colour, place and label, one step of superpixels (Achanta et al. 2012, SLIC, equation 3).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.data.scenes import Scenes

__all__ = ["altered", "cells", "divided"]

SEEDS = 32  # of a picture at most
FEWEST = 6
COLOUR, PLACE, THING = (0.01, 0.06), (1.0, 8.0), (0.0, 8.0)  # what a level, a side and another label count
NEAR = 8  # cells of a square; what is added begins in the object's squares or those beside them
EXTENT = (0.05, 4.0)  # the square of how far a piece goes, in areas of the object; drawn by its logarithm
SMALL = (0.01, 0.1)  # the same of small pieces, which begin at the object's border
BORDER = 2  # cells to either side of it
LEAST = 12.0  # square of cells that every piece may go, so that something of it is left


def cells(alpha: Tensor) -> Tensor:
    """(B, 1, h, w) in [0, 1] -> (B, h / 2, w / 2) of bool: where people look for what is wrong."""
    return F.avg_pool2d(alpha, 2)[:, 0] > 0.5


def divided(scenes: Scenes, generator: torch.Generator) -> Tensor:
    """Which piece each place of each picture belongs to: (B, S/4, S/4) of long, from 0 to SEEDS - 1."""
    features = _features(scenes, generator).flatten(2).transpose(1, 2)  # (B, places, 8)
    count, places, width = features.shape
    device = features.device
    seeds = torch.randint(places, (count, SEEDS), generator=generator, device=device)
    distances = torch.cdist(features.gather(1, seeds[:, :, None].expand(-1, -1, width)), features)
    used = torch.randint(FEWEST, SEEDS + 1, (count, 1), generator=generator, device=device)
    unused = torch.arange(SEEDS, device=device) >= used  # (B, SEEDS)
    nearest = distances.masked_fill(unused[:, :, None], torch.inf).argmin(1)
    side = scenes.image.shape[1] // 4
    return nearest.reshape(count, side, side)


def _features(scenes: Scenes, generator: torch.Generator) -> Tensor:
    """Colour, place and labels (B, 8, S/4, S/4); how much each of the three counts is drawn for every picture."""
    colour = scenes.image.permute(0, 3, 1, 2)
    colour = F.avg_pool2d(F.avg_pool2d(colour, 4), 3, 1, 1, count_include_pad=False)
    count, _, side, _ = colour.shape
    along = torch.linspace(0, 1, side, device=colour.device)
    place = torch.stack(torch.meshgrid(along, along, indexing="ij")).expand(count, -1, -1, -1)
    thing = F.avg_pool2d(torch.cat([scenes.whole, scenes.part, scenes.salient], 1), 2)
    drawn = torch.rand(3, count, 1, 1, 1, generator=generator, device=colour.device)
    kinds = zip((colour, place, thing), (COLOUR, PLACE, THING), drawn, strict=True)
    return torch.cat([values * (low + (high - low) * share) for values, (low, high), share in kinds], 1)


def altered(alpha: Tensor, pieces: Tensor, generator: torch.Generator, small: float = 0.0) -> Tensor:
    """Masks with a piece more or a piece less, as often one as the other.

    Args:
        alpha: (B, 1, S/2, S/2) in [0, 1].
        pieces: (B, S/4, S/4), as `divided` gives them.
        generator: on their device.
        small: share of the pieces that are only a bite out of the border of an object, or a lump on it.
    """
    inside = cells(alpha)
    drawn = torch.rand(3, len(alpha), 1, 1, generator=generator, device=alpha.device)
    adds, bites = drawn[0] < 0.5, drawn[1] < small
    large, little = (low * (high / low) ** drawn[2] for low, high in (EXTENT, SMALL))
    extent = (inside.sum((1, 2), keepdim=True) * torch.where(bites, little, large)).clamp(min=LEAST)
    begins = torch.where(adds, _beside(inside), inside) & (~bites | _border(inside))
    piece = _piece_in(begins, pieces, extent, generator)
    piece = torch.where(bites, _smooth(piece, 3), _smooth(piece, 5))
    soft = F.interpolate(piece[:, None], scale_factor=2.0, mode="bilinear", align_corners=False)
    return torch.where(adds[:, None], torch.maximum(alpha, soft), alpha * (1 - soft))


def _beside(inside: Tensor) -> Tensor:
    """What lies near each region, and not in it: (B, h, w) of bool."""
    squares = F.max_pool2d(F.max_pool2d(inside[:, None].float(), NEAR, ceil_mode=True), 3, 1, 1)
    return (F.interpolate(squares, size=inside.shape[1:])[:, 0] > 0) & ~inside


def _border(inside: Tensor) -> Tensor:
    """What lies within BORDER cells of the border of each region, on either side: (B, h, w) of bool."""
    values = inside[:, None].float()
    around, within = F.max_pool2d(values, 2 * BORDER + 1, 1, BORDER), -F.max_pool2d(-values, 2 * BORDER + 1, 1, BORDER)
    return (around > within)[:, 0]


def _piece_in(regions: Tensor, pieces: Tensor, extent: Tensor, generator: torch.Generator) -> Tensor:
    """The piece that a random place of each region belongs to, as far as it goes: (B, h, w), 0 or 1.

    `extent` (B, 1, 1) is the square of the greatest distance from that place, in cells.
    """
    noise = torch.rand(regions.shape, generator=generator, device=regions.device)
    chosen = (regions * (1 + noise)).flatten(1).argmax(1)[:, None, None]
    piece = pieces == pieces.flatten(1)[:, :, None].gather(1, chosen)
    side = regions.shape[2]
    along = torch.arange(side, device=regions.device)
    distance = (along - chosen % side).square() + (along[:, None] - chosen // side).square()
    return (piece & (distance <= extent) & regions.flatten(1).any(1)[:, None, None]).float()


def _smooth(piece: Tensor, across: int) -> Tensor:
    """What most cells of each square of `across` cells are: (B, h, w), 0 or 1, without specks."""
    return (F.avg_pool2d(piece, across, 1, across // 2, count_include_pad=False) > 0.5).float()
