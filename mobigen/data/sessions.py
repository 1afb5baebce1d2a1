"""What simulated people do with a picture: a first click, box or stroke, then corrections of the mask so far.

A click means the whole object, wherever it falls. The part is meant if a box surrounds just the part, or once a click
beside it has said that the whole was too much; before that click nobody can tell, and the whole is right. Now and then
a person means the object with a piece more or less, which a network cannot know either before it is told, and now and
then the mask that they correct is spoilt: so the clicks have to be heeded, and not only the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.answers import AGREEMENT, SURENESS
from mobigen.data.clicks import STROKE_POINTS, box_labels, correction, draw_box, draw_click, draw_stroke, surroundings
from mobigen.data.draw import constant
from mobigen.data.pieces import altered, cells, divided
from mobigen.data.scenes import Scenes
from mobigen.nn.prompts import PADDING, POSITIVE

__all__ = ["ClickSession", "begin"]

CLICK, BOX, STROKE = range(3)
CHANCES = (0.65, 0.2, 0.15)  # of the first prompt being one of those
PART_CHANCES = (0.5, 0.4, 0.1)  # of that if a part is meant
PARTS = 0.45  # of the objects that have a part, how often it is meant
CHANGED = 0.4  # of the others, how often a piece more or less is meant
FOLLOWED = 0.5  # of the first clicks that mean the first mask, how many go with it
SPOILT = 0.5  # of the masks before a correction, how many
TAKEN = 0.4  # of those where other objects are in the picture, how often these were taken for part of it
TWICE = 0.3  # of the rest, how many by two pieces
SMALL = 0.5  # of these pieces, how many are small, so that all but a little has to stay as it is
SURE = (2.0, 9.0)  # logits of a spoilt mask
SMALLEST = 12  # cells of a target, or it is not asked for
FIRST = STROKE_POINTS  # places for the first prompt; every correction adds one


@dataclass
class ClickSession:
    """B people at work, a picture each.

    first, meant: (B, 1, S/2, S/2), alpha from 0 to 1, of what the first prompt can be taken for and what is meant. The
    same for part, one that may be meant, and for others, the objects beside it. pieces: (B, S/4, S/4), see `divided`.
    boxed, usable: (B,) of bool. points (B, P, 2) and labels (B, P): all prompts so far. generator: on their device.
    """

    image_size: int
    first: Tensor
    meant: Tensor
    part: Tensor
    others: Tensor
    pieces: Tensor
    boxed: Tensor
    usable: Tensor
    points: Tensor
    labels: Tensor
    generator: torch.Generator

    def target(self, clicks: int) -> Tensor:
        """What is right when `clicks` corrections have been made: alpha (B, 1, S/2, S/2)."""
        return self.meant if clicks else self.first

    @torch.no_grad()
    def seen(self, saliency: Tensor) -> Tensor:
        """What goes with the first prompts: nothing, or now and then the first mask, (B, 1, S/2, S/2) logits.

        As in the pipeline, for clicks alone, and only where the first mask is much the same as what is meant.
        """
        found, wanted = saliency > 0, self.first > 0.5
        shared, either = (each.sum((1, 2, 3)) for each in (found & wanted, found | wanted))
        drawn = torch.rand(len(saliency), generator=self.generator, device=saliency.device)
        goes = ~self.boxed & (shared >= AGREEMENT * either) & (drawn < FOLLOWED)
        return torch.where(goes[:, None, None, None], SURENESS * saliency, 0.0).contiguous()

    @torch.no_grad()
    def spoilt(self, logits: Tensor) -> Tensor:
        """The masks so far (B, 1, S/2, S/2), some of them replaced by what is meant, but for one or two pieces.

        Most of what people correct late is small, and a network that has not met it mends more than is wrong. What
        they correct first is often another object, all of which one click has to take away.
        """
        count, device = len(logits), logits.device
        drawn = torch.rand(4, count, 1, 1, 1, generator=self.generator, device=device)
        once = altered(self.meant, self.pieces, self.generator, SMALL)
        wrong = torch.where(drawn[0] < TWICE, altered(once, self.pieces, self.generator, SMALL), once)
        taken = (drawn[3] < TAKEN) & (cells(self.others).sum((1, 2)) >= SMALLEST)[:, None, None, None]
        wrong = torch.where(taken, torch.maximum(self.meant, self.others), wrong)
        sure = SURE[0] + (SURE[1] - SURE[0]) * drawn[1]
        wrong = (F.avg_pool2d(wrong, 5, 1, 2, count_include_pad=False) * 2 - 1) * sure
        return torch.where(drawn[2] < SPOILT, wrong.to(logits.dtype), logits)

    @torch.no_grad()
    def correct(self, logits: Tensor) -> None:
        """Adds the click that each person makes on seeing a mask, (B, 1, S/2, S/2) logits."""
        points, labels = correction(
            cells(torch.sigmoid(logits.float())), cells(self.meant), self.image_size, self.generator
        )
        self.points = torch.cat([self.points, points[:, None]], 1)
        self.labels = torch.cat([self.labels, labels[:, None]], 1)

    @torch.no_grad()
    def near(self, clicks: int) -> Tensor:
        """How near each place is to a click when `clicks` corrections have been made: (B, 1, S/2, S/2) in [0, 1]."""
        made = FIRST + clicks
        return surroundings(self.points[:, :made], self.labels[:, :made], self.image_size, self.image_size // 2)

    def padded(self, length: int) -> tuple[Tensor, Tensor]:
        """Points (B, length, 2) and labels (B, length), as a network takes them."""
        missing = length - self.points.shape[1]
        return F.pad(self.points, (0, 0, 0, missing)), F.pad(self.labels, (0, missing), value=PADDING)


@torch.no_grad()
def begin(scenes: Scenes, generator: torch.Generator) -> ClickSession:
    """The first prompt of each scene, drawn with `generator`, which is on the scenes' device."""
    count, size, device = len(scenes.image), scenes.image.shape[1], scenes.image.device
    drawn = torch.rand(3, count, generator=generator, device=device)
    wants_part = scenes.has_part & (cells(scenes.part).sum((1, 2)) >= SMALLEST) & (drawn[0] < PARTS)
    chances = torch.where(wants_part[:, None], constant(PART_CHANCES, device), constant(CHANCES, device))
    kind = (drawn[1][:, None] > chances.cumsum(1)[:, :-1]).sum(1)
    pieces = divided(scenes, generator)
    changed = altered(scenes.whole, pieces, generator)
    changes = ~wants_part & (drawn[2] < CHANGED) & _tells(scenes.whole, changed)
    meant = _chosen(wants_part, scenes.part, _chosen(changes, changed, scenes.whole))
    first = _chosen(wants_part & (kind == BOX), scenes.part, scenes.whole)
    shown = cells(_chosen(kind == BOX, first, torch.minimum(meant, scenes.whole)))
    points, labels = _first_prompts(shown, kind, size, generator)
    return ClickSession(
        image_size=size,
        first=first,
        meant=meant,
        part=scenes.part,
        others=(scenes.salient - scenes.whole).clamp(min=0),
        pieces=pieces,
        boxed=kind == BOX,
        usable=shown.sum((1, 2)) >= SMALLEST,
        points=points,
        labels=labels,
        generator=generator,
    )


def _chosen(which: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """`yes` or `no`, (B, 1, h, w), for each picture, as `which` (B,) says."""
    return torch.where(which[:, None, None, None], yes, no)


def _tells(whole: Tensor, changed: Tensor) -> Tensor:
    """Whether masks differ by enough to be clicked on, and have enough in common: (B,) of bool."""
    before, after = cells(whole), cells(changed)
    return ((before & after).sum((1, 2)) >= SMALLEST) & ((before ^ after).sum((1, 2)) >= SMALLEST)


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
