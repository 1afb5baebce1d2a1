"""Distils the cutout model from Segment Anything, or from any teacher that transformers opens as a `SamModel`.

First the encoder learns to foretell the teacher's image embeddings, which are computed once and kept on disk
(decoupled distillation, MobileSAM, arXiv 2306.14289, section 3); then, on the encoder that came of it, the decoder
learns the teacher's three masks and their expected IoU, for clicks and their corrections.

    huggingface-cli download facebook/sam-vit-base --local-dir DATA/sam
    mobigen distill cutout-sam-encoder --data DATA --out OUT
    mobigen distill cutout-sam-decoder --data DATA --out OUT
    mobigen train cutout --data DATA --out OUT --init OUT
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.data.clicks import correction, draw_click
from mobigen.data.draw import draw_indices
from mobigen.data.masks import MaskSet
from mobigen.errors import MissingExtraError, WeightsError
from mobigen.models.segmenter import DEVIATION, MEAN, ClickDecoder, ImageEncoder
from mobigen.nn.prompts import PADDING
from mobigen.train.segment import Answer, best_mask, mask_losses
from mobigen.train.task import Loss, bare

__all__ = ["DecoderDistillation", "EmbeddingCache", "EncoderDistillation", "SamTeacher"]

CHUNK = 8  # pictures embedded at once


class SamTeacher(nn.Module):
    """A `SamModel` that speaks in the student's pixels: pictures padded right or below, as both letterbox them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any):
        """`model`: transformers.SamModel, of any size."""
        super().__init__()
        self.model = model
        vision = model.config.vision_config
        self.image_size, self.channels = vision.image_size, vision.output_channels
        self.grid = vision.image_size // vision.patch_size
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None], persistent=False)

    @classmethod
    def from_folder(cls, folder: Path) -> SamTeacher:
        """Opens what `SamModel.save_pretrained` or a download left in `folder`.

        Raises:
            MissingExtraError: transformers is not installed.
            WeightsError: the folder is missing or holds another model.
        """
        try:
            from transformers import SamModel
        except ImportError as error:
            raise MissingExtraError("a SAM teacher needs transformers; run: pip install 'mobigen[teachers]'") from error
        if not (folder / "config.json").is_file():
            raise WeightsError(f"no SAM in {folder}; put a SamModel of transformers there, facebook/sam-vit-base say")
        try:
            return cls(SamModel.from_pretrained(folder, local_files_only=True))
        except (OSError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{folder} is not a SamModel: {' '.join(str(error).split())}") from error

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Pictures (B, S, S, 3), 0 to 255 -> (B, channels, grid, grid)."""
        size = (self.image_size, self.image_size)
        pixels = F.interpolate(images.permute(0, 3, 1, 2).float(), size, mode="bilinear", align_corners=False)
        return self.model.get_image_embeddings((pixels - self.mean) / self.deviation)

    @torch.no_grad()
    def answer(self, embeddings: Tensor, points: Tensor, labels: Tensor, image_size: int) -> Answer:
        """Its masks (B, 3, 4 grid, 4 grid) and IoUs (B, 3) for clicks (B, N, 2) in pixels of `image_size`."""
        places = (points + 0.5) * (self.image_size / image_size) - 0.5
        found = self.model(
            image_embeddings=embeddings,
            input_points=places[:, None],
            input_labels=labels[:, None].long(),
            multimask_output=True,
        )
        return Answer(found.pred_masks[:, 0], found.iou_scores[:, 0])


class EmbeddingCache:
    """The teacher's embedding of every picture of a set, in float16 on disk; an interrupted making goes on."""

    def __init__(self, folder: Path, teacher: SamTeacher, masks: MaskSet):
        self.folder, self.teacher, self.masks = folder, teacher, masks
        self.shape = (len(masks.keys), teacher.channels, teacher.grid, teacher.grid)
        self.settings = {"shape": list(self.shape), "made_from": self._digest()}

    def _digest(self) -> str:
        """Changes with the teacher's weights, and with which pictures there are."""
        digest = hashlib.sha256(json.dumps(list(self.masks.keys)).encode())
        for name, value in self.teacher.model.state_dict().items():
            total = value.double().sum(), value.double().square().sum()
            digest.update(f"{name}{total[0].item():.6e}{total[1].item():.6e}".encode())
        return digest.hexdigest()

    def fill(self, device: torch.device, tell: Callable[[str], None] = lambda line: None) -> None:
        """Embeds what is not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        done = self._done()
        stored = np.memmap(self._file, np.float16, "r+" if done else "w+", shape=self.shape)
        self.teacher.to(device).eval()
        for start in range(done, self.shape[0], CHUNK):
            images = self.masks.images[start : start + CHUNK].to(device)
            stored[start : start + CHUNK] = self.teacher.embed(images).half().cpu().numpy()
            stored.flush()
            self._write_listing(min(start + CHUNK, self.shape[0]))
            tell(f"embedded {min(start + CHUNK, self.shape[0])} of {self.shape[0]} pictures")

    def read(self, drawn: Tensor) -> Tensor:
        """The embeddings of the pictures `drawn` (B,), in float32 on their device."""
        stored = np.memmap(self._file, np.float16, "r", shape=self.shape)
        return torch.from_numpy(stored[drawn.cpu().numpy()]).to(drawn.device).float()

    @property
    def _file(self) -> Path:
        return self.folder / "embeddings.float16"

    @property
    def _listing(self) -> Path:
        return self.folder / "embeddings.json"

    def _done(self) -> int:
        """How many are there, of this teacher and these pictures."""
        if not self._listing.is_file() or not self._file.is_file():
            return 0
        values = json.loads(self._listing.read_text())
        return values["done"] if values["settings"] == self.settings else 0

    def _write_listing(self, done: int) -> None:
        partial = self._listing.with_suffix(".partial")
        partial.write_text(json.dumps({"settings": self.settings, "done": done}))
        partial.replace(self._listing)


class EncoderStudent(nn.Module):
    """The encoder with a projection into the teacher's embedding space, which is discarded at the end."""

    def __init__(self, encoder: ImageEncoder, channels: int, grid: int):
        super().__init__()
        self.encoder, self.grid = encoder, grid
        self.projection = nn.Conv2d(sum(encoder.dims), channels, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (B, S, S, 3) -> (B, channels, grid, grid), and saliency logits (B, 1, S/2, S/2)."""
        *features, saliency = self.encoder(image)
        maps = [
            F.interpolate(each.permute(0, 3, 1, 2), (self.grid, self.grid), mode="bilinear", align_corners=False)
            for each in features
        ]
        return self.projection(torch.cat(maps, 1)), saliency


class EncoderDistillation:
    """Loss: the squared error of the teacher's embedding as a share of its variance, one minus the cosine, and the
    saliency of the label maps, of which the teacher knows nothing."""

    def __init__(self, encoder: ImageEncoder, cache: EmbeddingCache, device: torch.device):
        """`cache`: filled."""
        teacher = cache.teacher
        self.networks: dict[str, nn.Module] = {"encoder": EncoderStudent(encoder, teacher.channels, teacher.grid)}
        self.frozen: dict[str, nn.Module] = {}
        self.cache, self.device = cache, device

    def turn(self, step: int) -> str:
        return "encoder"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        drawn = draw_indices(self.cache.shape[0], batch_size, generator)
        images = self.cache.masks.images[drawn.cpu()].to(self.device)
        target = self.cache.read(drawn)
        labels = self.cache.masks.labels[drawn.cpu()].to(self.device)
        found, saliency = self.networks[turn](images)
        error = F.mse_loss(found.float(), target) / target.var().clamp(min=1e-6)
        cosine = F.cosine_similarity(found.float(), target, dim=1).mean()
        salient = mask_losses(saliency, F.avg_pool2d((labels > 0)[:, None].float(), 2)).mean()
        parts = {"error": error.detach(), "cosine": cosine.detach(), "salient": salient.detach()}
        return Loss(error + 1 - cosine + salient, parts)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        student: Any = averaged["encoder"]
        student.encoder.save_component(folder, "sam_encoder")


class DecoderDistillation:
    """Loss: focal and dice to each of the teacher's masks, by slot, and the squared error of their IoU.

    The first click falls on an object of the label maps, or anywhere; the second corrects what the student's best mask
    has wrong by the teacher's.
    """

    def __init__(self, decoder: ClickDecoder, encoder: ImageEncoder, cache: EmbeddingCache, device: torch.device):
        """`encoder`: distilled, it stays as it is; `cache`: filled."""
        self.networks: dict[str, nn.Module] = {"decoder": decoder}
        self.frozen: dict[str, nn.Module] = {"encoder": encoder, "teacher": cache.teacher}
        self.cache, self.device = cache, device
        self.image_size, self.points = decoder.image_size, decoder.points

    def turn(self, step: int) -> str:
        return "decoder"

    def loss(self, turn: str, batch_size: int, generator: torch.Generator) -> Loss:
        masks = self.cache.masks
        drawn = draw_indices(self.cache.shape[0], batch_size, generator)
        embeddings, images = self.cache.read(drawn), masks.images[drawn.cpu()].to(self.device)
        with torch.no_grad():
            *features, saliency = self.frozen["encoder"](images)
            points, labels = self._first(masks.labels[drawn.cpu()].to(self.device), generator)
            wanted = self._teach(embeddings, points, labels, saliency)
            first = Answer(*self._ask(bare(self.networks[turn]), features, points, labels, torch.zeros_like(saliency)))
            known = best_mask(first)
            mine, theirs = (each[:, 0, ::2, ::2] > 0 for each in (known, best_mask(wanted)))
            place, label = correction(mine, theirs, self.image_size, generator)
            again = torch.rand(batch_size, generator=generator, device=self.device) < 0.5
            label = torch.where(again, label, PADDING)
            points = torch.cat([points, place[:, None]], 1)
            labels = torch.cat([labels, label[:, None]], 1)
            wanted = self._teach(embeddings, points, labels, saliency)
            known = known * again[:, None, None, None]
        found = Answer(*self._ask(self.networks[turn], features, points, labels, known))
        return slot_loss(found, wanted)

    def _first(self, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A click a picture: (B, 1, 2) and (B, 1)."""
        objects = labels[:, ::4, ::4] > 0
        anywhere = torch.rand(len(labels), 1, 1, generator=generator, device=self.device) < 0.3
        points, _ = draw_click(objects | anywhere, self.image_size, generator)
        return points[:, None], torch.ones(len(points), 1, dtype=torch.int32, device=self.device)

    def _teach(self, embeddings: Tensor, points: Tensor, labels: Tensor, like: Tensor) -> Answer:
        """The teacher's answer, its masks of the size of `like`."""
        teacher: Any = self.frozen["teacher"]
        masks, quality = teacher.answer(embeddings, points, labels, self.image_size)
        scaled = F.interpolate(masks.float(), like.shape[2:], mode="bilinear", align_corners=False)
        return Answer(scaled, quality.float())

    def _ask(
        self, decoder: nn.Module, features: list[Tensor], points: Tensor, labels: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        missing = self.points - points.shape[1]
        padded = F.pad(points, (0, 0, 0, missing)), F.pad(labels, (0, missing), value=PADDING)
        return decoder(*features, *padded, mask)

    def save(self, averaged: dict[str, nn.Module], folder: Path) -> None:
        decoder: Any = averaged["decoder"]
        decoder.save_component(folder, "sam_decoder")


def slot_loss(found: Answer, wanted: Answer) -> Loss:
    """Each mask to the teacher's of the same place, and its expected IoU to the teacher's."""
    logits, target = found.masks.flatten(0, 1)[:, None], torch.sigmoid(wanted.masks.flatten(0, 1)[:, None])
    masks = mask_losses(logits, target).mean()
    quality = F.mse_loss(found.iou.float(), wanted.iou.clamp(0, 1))
    return Loss(masks + quality, {"masks": masks.detach(), "quality": quality.detach()})
