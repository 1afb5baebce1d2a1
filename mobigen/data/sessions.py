"""What simulated people do with a picture: a first click, box or stroke, then corrections of the mask so far.

A click means the whole object, wherever it falls. The part is meant if a box surrounds just the part, or once a click
beside it has said that the whole was too much; before that click nobody can tell, and the whole is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.data.clicks import STROKE_POINTS, box_labels, correction, draw_box, draw_click, draw_stroke
from mobigen.data.scenes import Scenes
from mobigen.nn.prompts import PADDING, POSITIVE

__all__ = ["ClickSession", "begin"]

CLICK, BOX, STROKE = range(3)
CHANCES = (0.65, 0.2, 0.15)  # of the first prompt being one of those
PARTS = 0.3  # of the objects that have a part, how often it is meant
SMALLEST = 12  # cells of a target, or it is not asked for
FIRST = STROKE_POINTS  # places for the first prompt; every correction adds one


@dataclass
class ClickSession:
    """B people at work, a picture each.

    whole, part: (B, 1, S/2, S/2), alpha from 0 to 1. wants_part, boxed, usable: (B,) of bool.
    points (B, P, 2) and labels (B, P): all prompts so far. generator: on their device.
    """

    image_size: int
    whole: Tensor
    part: Tensor
    wants_part: Tensor
    boxed: Tensor
    usable: Tensor
    points: Tensor
    labels: Tensor
    generator: torch.Generator

    def target(self, clicks: int) -> Tensor:
        """What is meant when `clicks` corrections have been made: alpha (B, 1, S/2, S/2)."""
        clear = self.wants_part & (self.boxed if clicks == 0 else torch.ones_like(self.boxed))
        return torch.where(clear[:, None, None, None], self.part, self.whole)

    @torch.no_grad()
    def correct(self, logits: Tensor) -> None:
        """Adds the click that each person makes on seeing a mask, (B, 1, S/2, S/2) logits."""
        wanted = self.target(1)
        points, labels = correction(
            cells(torch.sigmoid(logits.float())), cells(wanted), self.image_size, self.generator
        )
        self.points = torch.cat([self.points, points[:, None]], 1)
        self.labels = torch.cat([self.labels, labels[:, None]], 1)

    def padded(self, length: int) -> tuple[Tensor, Tensor]:
        """Points (B, length, 2) and labels (B, length), as a network takes them."""
        missing = length - self.points.shape[1]
        return F.pad(self.points, (0, 0, 0, missing)), F.pad(self.labels, (0, missing), value=PADDING)


def cells(alpha: Tensor) -> Tensor:
    """(B, 1, h, w) in [0, 1] -> (B, h / 2, w / 2) of bool: where people look for what is wrong."""
    return F.avg_pool2d(alpha, 2)[:, 0] > 0.5


@torch.no_grad()
def begin(scenes: Scenes, generator: torch.Generator) -> ClickSession:
    """The first prompt of each scene, drawn with `generator`, which is on the scenes' device."""
    count, size, device = len(scenes.image), scenes.image.shape[1], scenes.image.device
    drawn = torch.rand(count, generator=generator, device=device)
    part = cells(scenes.part)
    fits = scenes.has_part & (part.sum((1, 2)) >= SMALLEST)
    wants_part = fits & (drawn < PARTS)
    first = torch.where(wants_part[:, None, None], part, cells(scenes.whole))
    kind = torch.multinomial(torch.tensor(CHANCES, device=device), count, True, generator=generator)
    points, labels = _first_prompts(first, kind, size, generator)
    return ClickSession(
        image_size=size,
        whole=scenes.whole,
        part=scenes.part,
        wants_part=wants_part,
        boxed=kind == BOX,
        usable=first.sum((1, 2)) >= SMALLEST,
        points=points,
        labels=labels,
        generator=generator,
    )


def _first_prompts(regions: Tensor, kind: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Click, box or stroke, as `kind` says, in FIRST places."""
    count, device = len(regions), regions.device
    click, _ = draw_click(regions, size, generator)
    box = draw_box(regions, size, generator)
    points, labels = draw_stroke(regions, size, generator)
    single = F.pad(torch.full((count, 1), POSITIVE, dtype=torch.int32, device=device), (0, FIRST - 1), value=PADDING)
    corners = F.pad(box_labels(count, device), (0, FIRST - 2), value=PADDING)
    kinds = kind[:, None]
    points = torch.where((kinds == CLICK)[..., None], F.pad(click[:, None], (0, 0, 0, FIRST - 1)), points)
    points = torch.where((kinds == BOX)[..., None], F.pad(box, (0, 0, 0, FIRST - 2)), points)
    labels = torch.where(kinds == CLICK, single, labels)
    return points, torch.where(kinds == BOX, corners, labels)
