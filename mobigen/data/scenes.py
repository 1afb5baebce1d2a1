"""Training pictures for the cutout model: photos moved and recoloured, with stickers and cut objects laid over them.

What is laid on has exact alpha, so edges are learned where label maps are ragged. It may be the object that is meant,
belong to the one below it (a person and the ball they touch are one whole), or only be in the way.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mobigen.data.draw import draw_indices
from mobigen.data.masks import MaskSet
from mobigen.letterbox import GROUND

__all__ = ["SceneBatches", "Scenes"]

PLAIN, MEANT, JOINED, IN_THE_WAY = range(4)  # what is laid over a photo: nothing, or in which part
CHANCES = (0.4, 0.2, 0.2, 0.2)  # of those
AGAIN = 0.3  # of what has something laid over it, how often it has two
TWO_PARTS = 0.2  # how often what is asked for is two labels of a map together
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
        self.present = masks.present.to(device)
        single = self.present.sum(1) < 2
        one, other = (share / kind.sum().clamp(min=1) for share, kind in ((SINGLE, single), (1 - SINGLE, ~single)))
        self.chances = torch.where(single, one, other)  # a set of one kind alone is drawn evenly

    def draw(self, count: int, generator: torch.Generator) -> Scenes:
        """`count` scenes, drawn with `generator`, which is on the device."""
        drawn = torch.multinomial(self.chances, count, True, generator=generator)
        layers = self._photos(drawn, generator)
        layers = moved(layers, *self._movements(count, generator))
        rgb, whole, part = layers[:, :3] + ground(self.device), layers[:, 3:4], layers[:, 4:]
        scenes = Scenes(rgb.permute(0, 2, 3, 1), whole, part, whole, self.present[drawn].sum(1) > 1)
        first, second = torch.multinomial(
            torch.tensor(CHANCES, device=self.device), 2 * count, True, generator=generator
        ).chunk(2)
        again = (torch.rand(count, generator=generator, device=self.device) < AGAIN) & (first != PLAIN)
        for kind in (first, torch.where(again, second, PLAIN)):
            scenes = _laid_over(scenes, self._overlays(scenes.whole, kind, generator), kind)
        return _recoloured(_halved(scenes), generator)

    def _photos(self, drawn: Tensor, generator: torch.Generator) -> Tensor:
        """Colour less the ground's, the object, and one or two of its parts at random: (B, 5, S, S)."""
        place = drawn.to(self.images.device)
        rgb = self.images[place].to(self.device).permute(0, 3, 1, 2).float() - ground(self.device)
        labels = self.labels[place].to(self.device)
        present = self.present[drawn]
        noise = torch.rand(present.shape, generator=generator, device=self.device)
        first, second = (present + noise).topk(2, 1).indices[:, :, None, None].unbind(1)  # any, of an empty map
        two = torch.rand(len(drawn), 1, 1, generator=generator, device=self.device) < TWO_PARTS
        two &= present.sum(1)[:, None, None] > 2  # or they would be the whole
        part = (labels == first) | (two & (labels == second))
        return torch.cat([rgb, (labels > 0)[:, None].float(), part[:, None].float()], 1)

    def _movements(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Angle, scale, shift and mirroring of each photo."""
        drawn = torch.rand(6, count, generator=generator, device=self.device) * 2 - 1
        free = ((drawn[5] + 1) / 2 > UNMOVED).float()
        scale = torch.exp(free * (drawn[1] * 0.5 + 0.1))  # from 0.67 to 1.82
        shift = torch.stack([drawn[2], drawn[3]], 1) * 0.25 * free[:, None]
        return free * drawn[0] * math.radians(20), scale, shift, torch.where(free * drawn[4] > 0, -1.0, 1.0)

    def _overlays(self, whole: Tensor, kind: Tensor, generator: torch.Generator) -> Tensor:
        """Premultiplied RGBA (B, 4, S, S), alpha last in [0, 1]; nothing where the kind is PLAIN."""
        count, size = len(whole), whole.shape[-1]
        objects = self._cut_objects(count, generator)
        if self.stickers is not None:
            picked = draw_indices(len(self.stickers), count, generator).to(self.stickers.device)
            stickers = self.stickers[picked].to(self.device).permute(0, 3, 1, 2).float()
            stickers = premultiplied(stickers[:, :3], stickers[:, 3:] / 255)
            stickers = F.interpolate(stickers, size=(size, size), mode="bilinear", align_corners=False)
            which = torch.rand(count, 1, 1, 1, generator=generator, device=self.device) < 0.5
            objects = torch.where(which, stickers, objects)
        drawn = torch.rand(4, count, generator=generator, device=self.device) * 2 - 1
        scale = torch.exp(drawn[1] * 0.65 - 0.65)  # from 0.27 to 1
        anywhere = torch.rand(count, 2, generator=generator, device=self.device) * 1.4 - 0.7
        touching = _place_in(whole, generator)
        shift = torch.where((kind == JOINED)[:, None], touching, anywhere)
        mirror = torch.where(drawn[3] > 0, -1.0, 1.0)
        placed = moved(objects, drawn[0] * math.radians(25), scale, shift, mirror)
        return placed * (kind != PLAIN)[:, None, None, None]

    def _cut_objects(self, count: int, generator: torch.Generator) -> Tensor:
        """Objects of other photos with a soft edge, drawn in a little, in the middle: premultiplied RGBA."""
        picked = draw_indices(len(self.images), count, generator).to(self.images.device)
        rgb = self.images[picked].to(self.device).permute(0, 3, 1, 2).float()
        mask = (self.labels[picked].to(self.device) > 0)[:, None].float()
        alpha = (F.avg_pool2d(mask, 7, 1, 3) * 2 - 1).clamp(0, 1)
        return premultiplied(rgb, alpha)


def ground(device: torch.device) -> Tensor:
    """The colour of the padding, (3, 1, 1)."""
    return torch.tensor(GROUND, dtype=torch.float32, device=device)[:, None, None]


def premultiplied(rgb: Tensor, alpha: Tensor) -> Tensor:
    """(B, 3, H, W) and (B, 1, H, W) -> (B, 4, H, W)."""
    return torch.cat([rgb * alpha, alpha], 1)


def moved(layers: Tensor, angle: Tensor, scale: Tensor, shift: Tensor, mirror: Tensor) -> Tensor:
    """Each picture (B, C, S, S) turned, scaled about its middle and shifted by half sides; zeros come in."""
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    rows = torch.stack([cosine * mirror, sine * mirror, -sine, cosine], 1).reshape(-1, 2, 2)
    offset = -torch.matmul(rows, shift[:, :, None])
    grid = F.affine_grid(torch.cat([rows, offset], 2), list(layers.shape), align_corners=False)
    return F.grid_sample(layers, grid, padding_mode="zeros", align_corners=False)


def _place_in(whole: Tensor, generator: torch.Generator) -> Tensor:
    """A random place in each object (B, 1, S, S), as a shift from the middle in half sides: (B, 2)."""
    small = F.avg_pool2d(whole, 8)[:, 0]
    noise = torch.rand(small.shape, generator=generator, device=small.device)
    chosen = ((small > 0.5) * (1 + noise)).flatten(1).argmax(1)
    side = small.shape[-1]
    return torch.stack([chosen % side, chosen // side], 1).float() / side * 2 - 1


def _laid_over(scenes: Scenes, over: Tensor, kind: Tensor) -> Scenes:
    """Pictures, with masks of their own size, beneath an overlay, and what is then meant by what."""
    colour, alpha = over[:, :3], over[:, 3:]
    seen, seen_part, seen_salient = (each * (1 - alpha) for each in (scenes.whole, scenes.part, scenes.salient))
    meant, joined = ((kind == each)[:, None, None, None] for each in (MEANT, JOINED))
    return Scenes(
        image=colour.permute(0, 2, 3, 1) + scenes.image * (1 - alpha.permute(0, 2, 3, 1)),
        whole=torch.where(meant, alpha, torch.where(joined, seen + alpha, seen)),
        part=torch.where(joined, alpha, seen_part),
        salient=seen_salient + alpha,
        has_part=(scenes.has_part | (kind == JOINED)) & (kind != MEANT),
    )


def _halved(scenes: Scenes) -> Scenes:
    """Masks at half the size of their pictures."""
    halves = {name: F.avg_pool2d(getattr(scenes, name), 2) for name in ("whole", "part", "salient")}
    return scenes._replace(**halves)


def _recoloured(scenes: Scenes, generator: torch.Generator) -> Scenes:
    """Brightness, contrast, tint, hues, sharpness, grain, and now and then grey, each picture its own."""
    image = _blurred(_mixed(scenes.image, generator), generator)
    drawn = torch.rand(len(image), 6, 1, 1, generator=generator, device=image.device) * 2 - 1
    mean = image.mean((1, 2, 3), keepdim=True)
    image = (image - mean) * (1 + 0.3 * drawn[:, :1]) + mean + 30 * drawn[:, 1:2]
    image = image * (1 + 0.1 * drawn[:, 2:5].permute(0, 2, 3, 1))
    grey = image.mean(3, keepdim=True)
    pale = ((drawn[:, 5:] + 1) * 2.5 - 4).clamp(0, 1)  # colourless one time in ten
    return scenes._replace(image=(image + (grey - image) * pale).clamp(0, 255))


def _mixed(image: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, S, S, 3), one in two of them with their channels blended with each other's, which is another hue."""
    drawn = torch.rand(4, len(image), generator=generator, device=image.device)
    order = drawn[:3].argsort(0).T[:, None, None].expand(image.shape)
    share = (drawn[3] * 2 - 1).clamp(min=0)[:, None, None, None]
    return image + (image.gather(3, order) - image) * share


def _blurred(image: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, S, S, 3), one in three of them softer and one in three with grain."""
    drawn = torch.rand(2, len(image), 1, 1, 1, generator=generator, device=image.device)
    soft = F.avg_pool2d(image.permute(0, 3, 1, 2), 5, 1, 2, count_include_pad=False).permute(0, 2, 3, 1)
    grain = torch.randn(image.shape, generator=generator, device=image.device)
    softness, strength = (drawn * 3 - 2).clamp(min=0)
    return image + (soft - image) * softness + grain * strength * 12
