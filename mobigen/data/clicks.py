"""Simulated clicks, boxes and strokes: what a person would do next, given the mask so far. Batched, on any device.

Errors are corrected where they are deepest, by distance to their border (Sofiiuk et al., arXiv 2102.06583, section 4):
the centre of the thickest wrong region. Distances are counted by erosions, so in the chessboard metric.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.data.draw import constant
from mobigen.nn.prompts import BOX_END, BOX_START, NEGATIVE, PADDING, POSITIVE

__all__ = [
    "bounding_boxes",
    "box_labels",
    "correction",
    "depth",
    "draw_box",
    "draw_click",
    "draw_stroke",
    "surroundings",
]

DEEPEST = 24  # erosions; what is thicker has a plateau of equally good places
STROKE_POINTS = 6
JITTER = 0.1  # of a box's sides, its corners are moved at most
REACH = 0.02  # of a picture's side, the deviation of what surrounds a click


def depth(regions: Tensor, most: int = DEEPEST) -> Tensor:
    """Steps to the border of each region, at most `most`: (B, h, w) of bool -> (B, h, w); 0 outside, 1 beside it."""
    left = regions.float()[:, None]
    total = torch.zeros_like(left)
    for _ in range(min(most, regions.shape[-1] // 2)):
        total = total + left
        left = -F.max_pool2d(F.pad(-left, (1, 1, 1, 1)), 3, 1)  # beyond the picture is outside
    return total[:, 0]


def draw_click(regions: Tensor, image_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A place in each region (B, h, w) of bool: its deepest, or anywhere in it, one time in two.

    Returns:
        points (B, 2), x and y in pixels of a picture of `image_size`; and how deep the region is, (B,): 0 if it is
        empty.
    """
    count, _, width = regions.shape
    deep = depth(regions)
    noise = torch.rand(regions.shape, generator=generator, device=regions.device)
    anywhere = torch.rand(count, 1, 1, generator=generator, device=regions.device) < 0.5
    scores = torch.where(anywhere, regions * (1 + noise), deep + 0.5 * noise * regions)
    chosen = scores.flatten(1).argmax(1)
    found = torch.stack([chosen % width, chosen // width], 1)
    shift = torch.rand(count, 2, generator=generator, device=regions.device)
    points = (found + shift) * (image_size / width) - 0.5
    return points, deep.amax((1, 2))


def bounding_boxes(regions: Tensor) -> Tensor:
    """(B, h, w) of bool -> (B, 4): x0, y0, x1, y1 in cells, the ends exclusive; zeros for an empty region."""
    sides = []
    for axis in (1, 2):  # over rows: columns that hold something, then rows
        held = regions.any(axis)
        length = held.shape[1]
        first = held.float().argmax(1)
        last = length - held.flip(1).float().argmax(1)
        sides.append(torch.stack([first, last], 1) * held.any(1, keepdim=True))
    columns, rows = sides
    return torch.stack([columns[:, 0], rows[:, 0], columns[:, 1], rows[:, 1]], 1)


def draw_box(regions: Tensor, image_size: int, generator: torch.Generator) -> Tensor:
    """The corners (B, 2, 2) of a hand-drawn box around each region (B, h, w), in pixels of the picture."""
    corners = bounding_boxes(regions).float().reshape(-1, 2, 2)
    sides = (corners[:, 1] - corners[:, 0])[:, None]
    shift = torch.rand(corners.shape, generator=generator, device=regions.device) * 2 - 1
    moved = corners + shift * JITTER * sides
    return (moved * (image_size / regions.shape[2]) - 0.5).clamp(0, image_size - 1)


def draw_stroke(regions: Tensor, image_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points along a line between two places of each region, and their labels; what lies outside is padding.

    -> (B, STROKE_POINTS, 2) and (B, STROKE_POINTS).
    """
    start, _ = draw_click(regions, image_size, generator)
    end, _ = draw_click(regions, image_size, generator)
    along = torch.linspace(0, 1, STROKE_POINTS, device=regions.device)[None, :, None]
    points = start[:, None] * (1 - along) + end[:, None] * along
    cells = ((points + 0.5) * (regions.shape[2] / image_size)).long().clamp(0, regions.shape[2] - 1)
    flat = cells[..., 1] * regions.shape[2] + cells[..., 0]
    inside = regions.flatten(1).gather(1, flat)
    return points, torch.where(inside, POSITIVE, PADDING).int()


def correction(masks: Tensor, targets: Tensor, image_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The next click: in the deeper of what is missing and what is too much.

    Args:
        masks, targets: (B, h, w) of bool.
        image_size: pixels a side of the picture that the points are for.
        generator: on the device of `masks`.

    Returns:
        points (B, 2) and labels (B,): 1 where the mask lacks something, 0 where it has too much, -1 if it is right.
    """
    wrong = torch.cat([targets & ~masks, masks & ~targets])  # missing, surplus
    points, deep = draw_click(wrong, image_size, generator)
    (add, remove), (lack, excess) = points.chunk(2), deep.chunk(2)
    adds = lack >= excess
    labels = torch.where(adds, POSITIVE, NEGATIVE).int()
    labels = torch.where(torch.maximum(lack, excess) > 0, labels, PADDING)
    return torch.where(adds[:, None], add, remove), labels.int()


def surroundings(points: Tensor, labels: Tensor, image_size: int, cells: int) -> Tensor:
    """How near each place is to a click: (B, 1, cells, cells) in [0, 1], Gaussians of REACH; boxes are no clicks.

    `points` (B, P, 2) are in pixels of a picture of `image_size`; `labels` (B, P).
    """
    centres = (torch.arange(cells, device=points.device) + 0.5) * (image_size / cells) - 0.5
    bumps = torch.exp(-0.5 * ((centres - points[..., None]) / (REACH * image_size)).square())  # (B, P, 2, cells)
    clicked = ((labels == POSITIVE) | (labels == NEGATIVE))[:, :, None]
    rows = bumps[:, :, 1] * clicked
    return torch.matmul(rows.transpose(1, 2), bumps[:, :, 0]).clamp(max=1)[:, None]


def box_labels(count: int, device: torch.device) -> Tensor:
    """Labels (count, 2) of two corners."""
    return constant((BOX_START, BOX_END), device).int().expand(count, 2)
