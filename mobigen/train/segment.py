"""Trains the cutout model: saliency without a click, then masks over several clicks, corrected inside the step."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.data.scenes import SceneBatches
from mobigen.data.sessions import ClickSession, begin
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.models.squeezesam import SqueezeSAM
from mobigen.train.task import Loss

__all__ = [
    "Answer",
    "OnePassSegmenter",
    "SegmentTask",
    "Segmenter",
    "answer_loss",
    "best_mask",
    "click_losses",
    "mask_losses",
]

FOCAL_WEIGHT, IDLE_WEIGHT, PART_WEIGHT, CLICK_WEIGHT = 20.0, 0.1, 0.25, 0.5
FIRST_WEIGHT, CORRECTIONS_WEIGHT = 0.5, 1.5  # of the first answer, of all others together
EDGE_WEIGHT = 4.0  # how much more a pixel counts whose surroundings are mixed


class Answer(NamedTuple):
    """What came of one click: masks (B, 3, h, w) as logits, and the IoU expected of each, (B, 3)."""

    masks: Tensor
    iou: Tensor


class Segmenter(nn.Module):
    """Encoder and decoder as one forward pass over a session of clicks."""

    def __init__(self, encoder: ImageEncoder, decoder: ClickDecoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles both networks; the session between their calls stays as it is."""
        self.encoder.compile(*args, **kwargs)
        self.decoder.compile(*args, **kwargs)

    def forward(self, image: Tensor, session: ClickSession, clicks: int) -> tuple[Tensor | None, list[Answer]]:
        """Pictures (B, S, S, 3) -> saliency logits (B, 1, S/2, S/2), and an answer to each of `clicks` prompts."""
        embedding, middle, detail, saliency = self.encoder(image)
        mask = session.seen(saliency.detach())
        answers = []
        for index in range(clicks):
            if index:
                mask = session.spoilt(mask)
                session.correct(mask)
            points, labels = session.padded(self.decoder.points)
            answers.append(Answer(*self.decoder(embedding, middle, detail, points, labels, mask)))
            mask = best_mask(answers[-1]).detach().to(saliency.dtype)
        return saliency, answers


class OnePassSegmenter(nn.Module):
    """SqueezeSAM over a session of clicks: the whole network for each, and no saliency."""

    def __init__(self, network: SqueezeSAM):
        super().__init__()
        self.network = network

    def compile(self, *args: Any, **kwargs: Any) -> None:
        self.network.compile(*args, **kwargs)

    def forward(self, image: Tensor, session: ClickSession, clicks: int) -> tuple[Tensor | None, list[Answer]]:
        """As `Segmenter`."""
        answers: list[Answer] = []
        for index in range(clicks):
            if index:
                session.correct(best_mask(answers[-1]).detach())
            answers.append(Answer(*self.network(image, *session.padded(self.network.points))))
        return None, answers


def best_mask(answer: Answer) -> Tensor:
    """The mask that is expected to be best: (B, 1, h, w)."""
    chosen = answer.iou.argmax(1)
    return answer.masks[torch.arange(len(chosen), device=chosen.device), chosen][:, None]


class SegmentTask:
    """Loss: for each click the best of three masks, the IoU that each expects, and the saliency of the scene.

    Of the three masks the one that fits best is trained (SAM, arXiv 2304.02643, section 3), the others a little, so
    that none falls asleep. A single click on a part also asks that some mask be the part, without being told that
    it is the better one.
    """

    CLICKS = 4

    def __init__(self, segmenter: Segmenter | OnePassSegmenter, batches: SceneBatches):
        self.networks: dict[str, nn.Module] = {"segmenter": segmenter}
        self.frozen: dict[str, nn.Module] = {}
        self.batches = batches

    def turn(self, step: int) -> str:
        return "segmenter"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        with torch.autocast(generator.device.type, enabled=False):  # places in bfloat16 would be pixels off
            scenes = self.batches.draw(batch_size, generator)
            session = begin(scenes, generator)
        saliency, answers = self.networks[turn](scenes.image, session, self.CLICKS)
        total = scenes.image.new_zeros(())
        parts: dict[str, Tensor] = {}
        for index, answer in enumerate(answers):
            value, found = answer_loss(answer, session.target(index), session.usable, session.near(index))
            total = total + value * (CORRECTIONS_WEIGHT / (len(answers) - 1) if index else FIRST_WEIGHT)
            parts[f"iou{index + 1}"] = found
        hidden = (session.usable & scenes.has_part & ~session.boxed).float()
        also = mask_losses(answers[0].masks, session.part).amin(1)
        total = total + PART_WEIGHT * (also * hidden).sum() / hidden.sum().clamp(min=1)
        if saliency is not None:
            salient = mask_losses(saliency, scenes.salient).mean()
            total, parts["salient"] = total + salient, salient.detach()
        return Loss(total, parts)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        segmenter: Any = averaged["segmenter"]
        if isinstance(segmenter, OnePassSegmenter):
            segmenter.network.save_component(folder)
            return
        segmenter.encoder.save_component(folder)
        segmenter.decoder.save_component(folder)


def answer_loss(answer: Answer, target: Tensor, usable: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of an answer over the pictures that are `usable` (B,).

    Args:
        answer: masks and the IoU expected of each.
        target: (B, 1, h, w), alpha in [0, 1].
        usable: (B,) of bool.
        near: (B, 1, h, w), how near each place is to a click, in [0, 1].

    Returns:
        The loss, a scalar, and the mean IoU of the masks that the network would have chosen.
    """
    losses = mask_losses(answer.masks, target) + CLICK_WEIGHT * click_losses(answer.masks, target, near)  # (B, 3)
    overlap = overlaps(answer.masks.detach(), target)
    quality = (answer.iou.float() - overlap).square().mean(1)
    counted = usable.float() / usable.float().sum().clamp(min=1)
    each = losses.amin(1) + IDLE_WEIGHT * losses.mean(1) + quality
    chosen = overlap.gather(1, answer.iou.argmax(1, keepdim=True))[:, 0]
    return (each * counted).sum(), (chosen * counted).sum()


def mask_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Focal plus dice loss of each mask: logits (B, M, h, w), target (B, 1, h, w) in [0, 1] -> (B, M).

    The focal loss is that of soft targets, |t - p|^2 BCE (Li et al., arXiv 2006.04388, equation 4); pixels near an
    edge of the target count more, as in F3Net (Wei et al., arXiv 1911.11445, equation 5).
    """
    logits, target = logits.float(), target.float()
    weight = 1 + EDGE_WEIGHT * (F.avg_pool2d(target, 15, 1, 7) - target).abs() * 2
    probability = torch.sigmoid(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target.expand_as(logits), reduction="none")
    focal = ((target - probability).square() * entropy * weight).mean((2, 3))
    shared = (probability * target * weight).sum((2, 3))
    both = ((probability + target) * weight).sum((2, 3))
    return FOCAL_WEIGHT * focal + 1 - (2 * shared + 1) / (both + 1)


def click_losses(logits: Tensor, target: Tensor, near: Tensor) -> Tensor:
    """Cross-entropy of each mask around the clicks, 0 without any: (B, M, h, w), twice (B, 1, h, w) -> (B, M)."""
    logits, near = logits.float(), near.float()
    entropy = F.binary_cross_entropy_with_logits(logits, target.float().expand_as(logits), reduction="none")
    return (entropy * near).sum((2, 3)) / near.sum((2, 3)).clamp(min=1)


def overlaps(logits: Tensor, target: Tensor) -> Tensor:
    """IoU of each mask, cut at 0, with the target, cut at a half: (B, M, h, w), (B, 1, h, w) -> (B, M)."""
    mask, wanted = logits > 0, target > 0.5
    shared = (mask & wanted).sum((2, 3)).float()
    return shared / (mask | wanted).sum((2, 3)).clamp(min=1)
