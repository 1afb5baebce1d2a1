"""Training pictures for the cutout model: photos moved and recoloured, with stickers and cut objects laid over them.

What is laid on has exact alpha, so edges are learned where label maps are ragged. It may be the object that is meant,
belong to the one below it (a person and the ball they touch are one whole), only be in the way, or stand beside it, so
that either of two that touch is meant without the other. Some objects are cut out and lie on a drawn ground.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.data.draw import constant, draw_indices
from mobigen.data.grounds import draw_grounds
from mobigen.data.masks import MaskSet
from mobigen.data.photometry import recoloured
from mobigen.data.placement import moved, place_beside, place_in
from mobigen.letterbox import GROUND

__all__ = ["BESIDE", "MEANT_BESIDE", "PLAIN", "SceneBatches", "Scenes"]

PLAIN, MEANT, JOINED, IN_THE_WAY, BESIDE, MEANT_BESIDE = range(6)  # what is laid over a photo, and in which part
CHANCES = (0.4, 0.12, 0.14, 0.12, 0.11, 0.11)  # of those
AGAIN = 0.3  # of what has something laid over it, how often it has two; the second neighbour is never meant
EVERY = 8  # one of so many photos is cut out and laid on a drawn ground
DRAWN = 0.3  # share of those that are a sticker instead of a photo
TWO_PARTS = 0.2  # how often what is asked for is two labels of a map together
ROOMY = 0.6  # how much smaller those are beside which another is laid
ENDS = 8  # pixels of an object along a photo's sides, from where on it is taken to go on beyond them
UNMOVED = 0.25  # share of photos that stay where a letterbox puts them
SINGLE = 0.6  # share of photos of a single object, which teach more; the others have parts


class Scenes(NamedTuple):
    """A batch of B pictures of S pixels a side, and what can be meant in them at half the size.

    image: (B, S, S, 3), RGB, 0 to 255. whole, part, salient: (B, 1, S/2, S/2), alpha from 0 to 1.
    has_part: (B,) of bool.
    """

    image: Tensor
    whole: Tensor
    part: Tensor
    salient: Tensor
    has_part: Tensor


class SceneBatches:
    """Random scenes on the training device; pictures that take less than half of its memory live there."""

    def __init__(self, masks: MaskSet, stickers: Tensor | None, device: torch.device):
        """`stickers`: (M, h, w, 4) of uint8, straight RGBA, to be laid over photos; None takes cut objects only."""
        self.masks, self.device = masks, device
        self.images, self.labels = masks.images, masks.labels
        self.stickers = stickers
        held = self.images.nbytes + self.labels.nbytes + (0 if stickers is None else stickers.nbytes)
        if device.type == "cuda" and held < torch.cuda.get_device_properties(device).total_memory / 2:
            self.images, self.labels = self.images.to(device), self.labels.to(device)
            self.stickers = None if stickers is None else stickers.to(device)
        self.present, self.sizes = masks.present.to(device), masks.sizes.to(device)
        single = self.present.sum(1) < 2
        one, other = (share / kind.sum().clamp(min=1) for share, kind in ((SINGLE, single), (1 - SINGLE, ~single)))
        self.chances = torch.where(single, one, other)  # a set of one kind alone is drawn evenly

    def draw(self, count: int, generator: torch.Generator) -> Scenes:
        """`count` scenes, drawn with `generator`, which is on the device."""
        drawn = self._drawn(count, generator)
        return self._scenes(drawn, *self._kinds(count, generator), count // EVERY, generator)

    def draw_alike(self, count: int, kind: int, cut_out: bool, generator: torch.Generator) -> Scenes:
        """As `draw`, with one thing of `kind` laid over each photo, all cut out and on drawn grounds, or none."""
        drawn = self._drawn(count, generator)
        first = torch.full_like(drawn, kind)
        return self._scenes(drawn, first, torch.full_like(drawn, PLAIN), count if cut_out else 0, generator)

    def _drawn(self, count: int, generator: torch.Generator) -> Tensor:
        """Photos at random, (count,)."""
        return torch.multinomial(self.chances, count, True, generator=generator)

    def _scenes(self, drawn: Tensor, first: Tensor, second: Tensor, cut: int, generator: torch.Generator) -> Scenes:
        """The photos `drawn`, the last `cut` of them cut out, with what is laid over each `first` and then."""
        placed = self._placed(drawn, first >= BESIDE, cut, generator)
        rgb, whole, part, window = placed.split((3, 1, 1, 1), 1)
        parts = (self.present[drawn].sum(1) > 1) & (part > 0.5).flatten(1).any(1)
        scenes = Scenes((rgb + ground(self.device)).permute(0, 2, 3, 1), whole, part, whole, parts)
        for kind in (first, second):
            scenes = _laid_over(scenes, self._overlays(scenes, window, kind, generator), kind)
        return _halved(scenes)._replace(image=recoloured(scenes.image, generator))

    def _kinds(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What is laid over each photo first, and then."""
        chances = constant(CHANCES, self.device)
        first, second = torch.multinomial(chances, 2 * count, True, generator=generator).chunk(2)
        again = (torch.rand(count, generator=generator, device=self.device) < AGAIN) & (first != PLAIN)
        return first, torch.where(again, torch.where(first >= BESIDE, BESIDE, second), PLAIN)

    def _placed(self, drawn: Tensor, accompanied: Tensor, cut: int, generator: torch.Generator) -> Tensor:
        """As `_photos`, moved; the last `cut` are cut out and on drawn grounds, with room for what is beside them."""
        layers = self._photos(drawn, generator)
        kept = len(drawn) - cut
        out, free = self._cut_out(layers[kept:], generator)
        angle, scale, shift, mirror = self._movements(len(drawn), generator)
        roomy = F.pad(free, (kept, 0)) & accompanied
        scale = torch.where(roomy, scale.clamp(max=1) * ROOMY, scale)
        layers = moved(torch.cat([layers[:kept], out]), angle, scale, shift, mirror)
        return torch.cat([layers[:kept], self._on_grounds(layers[kept:], free, generator)])

    def _photos(self, drawn: Tensor, generator: torch.Generator) -> Tensor:
        """Colour less the padding's, object, one or two of its parts at random, and where a photo is: (B, 6, S, S)."""
        rgb, labels = self._pictures(drawn)
        present = self.present[drawn]
        noise = torch.rand(present.shape, generator=generator, device=self.device)
        first, second = (present + noise).topk(2, 1).indices[:, :, None, None].unbind(1)  # any, of an empty map
        two = torch.rand(len(drawn), 1, 1, generator=generator, device=self.device) < TWO_PARTS
        two &= present.sum(1)[:, None, None] > 2  # or they would be the whole
        part = (labels == first) | (two & (labels == second))
        maps = (labels > 0, part, _corners(self.sizes[drawn], labels.shape[1]))
        return torch.cat([rgb - ground(self.device), *(each[:, None].float() for each in maps)], 1)

    def _pictures(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """RGB (B, 3, S, S) of 0 to 255 and the label maps (B, S, S) of the photos `drawn` (B,), on the device."""
        place = drawn.to(self.images.device)
        return self.images[place].to(self.device).permute(0, 3, 1, 2).float(), self.labels[place].to(self.device)

    def _cut_out(self, layers: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Photos (B, 6, S, S) without their ground, or stickers: colours are premultiplied, and all edges are soft.

        And which of them do not end at a side of the photo, (B,): they can lie anywhere.
        """
        rgb, whole, part, window = layers.split((3, 1, 1, 1), 1)
        alpha = softened(whole, window)
        inner = -F.max_pool2d(F.pad(-window, (1, 1, 1, 1)), 3, 1)
        free = (whole * (1 - inner)).flatten(1).sum(1) < ENDS
        cut = torch.cat([(rgb + ground(self.device)) * alpha, alpha, part * alpha, window], 1)
        if self.stickers is None:
            return cut, free
        margin = cut.shape[-1] // 5
        stickers = F.pad(self._stickers(len(cut), cut.shape[-1] - 2 * margin, generator), [margin] * 4)
        stickers = torch.cat([stickers, torch.zeros_like(part), window], 1)
        drawn = torch.rand(len(cut), generator=generator, device=self.device) < DRAWN
        return torch.where(drawn[:, None, None, None], stickers, cut), free | drawn

    def _on_grounds(self, layers: Tensor, free: Tensor, generator: torch.Generator) -> Tensor:
        """What `_cut_out` gave, moved, on drawn grounds; where it is `free` they fill the square, or most of it."""
        count, size = len(layers), layers.shape[-1]
        if not count:
            return layers
        rgb, whole, part, window = layers.split((3, 1, 1, 1), 1)
        sides = torch.rand(2, count, generator=generator, device=self.device).T * 1.6 + 0.6  # all of it, for most
        filled = _corners(size * sides, size)[:, None].float()
        window = torch.where(free[:, None, None, None], filled, window)
        photos, _ = self._pictures(draw_indices(len(self.images), count, generator))
        behind = draw_grounds(photos, generator)
        rgb = (rgb + behind * (1 - whole) - ground(self.device)) * window
        return torch.cat([rgb, whole * window, part * window, window], 1)

    def _movements(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Angle, scale, shift and mirroring of each photo."""
        drawn = torch.rand(6, count, generator=generator, device=self.device) * 2 - 1
        free = ((drawn[5] + 1) / 2 > UNMOVED).float()
        scale = torch.exp(free * (drawn[1] * 0.74 + 0.05))  # from 0.5 to 2.2
        shift = torch.stack([drawn[2], drawn[3]], 1) * 0.25 * free[:, None]
        return free * drawn[0] * math.radians(20), scale, shift, torch.where(free * drawn[4] > 0, -1.0, 1.0)

    def _overlays(self, scenes: Scenes, window: Tensor, kind: Tensor, generator: torch.Generator) -> Tensor:
        """Premultiplied RGBA (B, 4, S, S), alpha last in [0, 1]; nothing where the kind is PLAIN or out of `window`."""
        whole = scenes.whole
        count, size = len(whole), whole.shape[-1]
        objects = self._cut_objects(count, generator)
        if self.stickers is not None:
            which = torch.rand(count, 1, 1, 1, generator=generator, device=self.device) < 0.5
            objects = torch.where(which, self._stickers(count, size, generator), objects)
        drawn = torch.rand(4, count, generator=generator, device=self.device) * 2 - 1
        neighbour = kind >= BESIDE
        masks = F.avg_pool2d(torch.cat([objects[:, 3:], whole, scenes.salient, window], 1), 4)
        alike = _scale_beside(masks) * torch.exp(drawn[1] * 0.3)
        scale = torch.where(neighbour, alike.clamp(0.1, 1), torch.exp(drawn[1] * 0.65 - 0.65))  # or from 0.27 to 1
        turned = drawn[0] * math.radians(25), scale
        mirror = torch.where(drawn[3] > 0, -1.0, 1.0)
        thing, touched, taken, picture = masks.split(1, 1)
        middle = moved(thing, *turned, torch.zeros(count, 2, device=self.device), mirror)
        beside = place_beside(middle, touched, taken, picture, generator)
        anywhere = torch.rand(count, 2, generator=generator, device=self.device) * 1.4 - 0.7
        shift = torch.where((kind == JOINED)[:, None], place_in(whole, generator), anywhere)
        placed = moved(objects, *turned, torch.where(neighbour[:, None], beside, shift), mirror)
        return placed * window * (kind != PLAIN)[:, None, None, None]

    def _stickers(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """Random stickers: premultiplied RGBA (count, 4, size, size), alpha last in [0, 1]."""
        assert self.stickers is not None
        picked = draw_indices(len(self.stickers), count, generator).to(self.stickers.device)
        stickers = self.stickers[picked].to(self.device).permute(0, 3, 1, 2).float()
        stickers = premultiplied(stickers[:, :3], stickers[:, 3:] / 255)
        return F.interpolate(stickers, size=(size, size), mode="bilinear", align_corners=False)

    def _cut_objects(self, count: int, generator: torch.Generator) -> Tensor:
        """Objects of other photos with a soft edge, drawn in a little, in the middle: premultiplied RGBA."""
        rgb, labels = self._pictures(draw_indices(len(self.images), count, generator))
        mask = (labels > 0)[:, None].float()
        return premultiplied(rgb, softened(mask, torch.ones_like(mask)))


def ground(device: torch.device) -> Tensor:
    """The colour of the padding, (3, 1, 1)."""
    return constant(GROUND, device)[:, None, None]


def _corners(sizes: Tensor, side: int) -> Tensor:
    """Which places of each square lie within a height and a width (B, 2) of its first: (B, side, side) of bool."""
    rows, columns = (torch.arange(side, device=sizes.device) < sizes.T[:, :, None]).unbind(0)
    return rows[:, :, None] & columns[:, None]


def softened(mask: Tensor, window: Tensor) -> Tensor:
    """Masks (B, 1, S, S) of 0 or 1 with a soft edge, drawn in a little, since their own is ragged.

    But at a side of the `window` (B, 1, S, S) in which they are known they go on.
    """
    around, known = (F.avg_pool2d(each, 7, 1, 3) for each in (mask, window))
    return (around / known.clamp(min=1e-3) * 2 - 1).clamp(0, 1) * window


def premultiplied(rgb: Tensor, alpha: Tensor) -> Tensor:
    """(B, 3, H, W) and (B, 1, H, W) -> (B, 4, H, W)."""
    return torch.cat([rgb * alpha, alpha], 1)


def _scale_beside(masks: Tensor) -> Tensor:
    """How much larger each thing has to be to take as much of a picture as an object, or half of what is free: (B,).

    `masks`: (B, 4, h, w), alpha of the thing, of the object, of all that is salient, and of the picture.
    """
    area, own, salient, window = masks.mean((2, 3)).unbind(1)
    return (torch.minimum(own, (window - salient) / 2).clamp(min=0) / area.clamp(min=1e-3)).sqrt()


def _laid_over(scenes: Scenes, over: Tensor, kind: Tensor) -> Scenes:
    """Pictures, with masks of their own size, beneath an overlay, and what is then meant by what."""
    colour, alpha = over[:, :3], over[:, 3:]
    seen, seen_part, seen_salient = (mask * (1 - alpha) for mask in (scenes.whole, scenes.part, scenes.salient))
    kinds = kind[:, None, None, None]
    meant, joined = (kinds == MEANT) | (kinds == MEANT_BESIDE), kinds == JOINED
    return Scenes(
        image=colour.permute(0, 2, 3, 1) + scenes.image * (1 - alpha.permute(0, 2, 3, 1)),
        whole=torch.where(meant, alpha, torch.where(joined, seen + alpha, seen)),
        part=torch.where(joined, alpha, seen_part),
        salient=seen_salient + alpha,
        has_part=(scenes.has_part | (kind == JOINED)) & ~meant.flatten(),
    )


def _halved(scenes: Scenes) -> Scenes:
    """Masks at half the size of their pictures."""
    halves = {name: F.avg_pool2d(getattr(scenes, name), 2) for name in ("whole", "part", "salient")}
    return scenes._replace(**halves)
