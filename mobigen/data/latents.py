"""The sticker set as latents: each picture encoded once, in several small movements; each caption as text states."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from mobigen.data.augment import jitter
from mobigen.data.draw import draw_indices
from mobigen.data.stickers import STYLES, StickerSet, premultiply
from mobigen.data.words import token_ids
from mobigen.models.autoencoder import Encoder
from mobigen.models.text_encoder import TextEncoder

__all__ = ["CaptionTable", "Conditions", "LatentSet", "encode_captions", "encode_pictures"]

CHUNK = 256  # pictures or captions a forward pass
NOISE = 1.2  # at most, of the states' own deviation: as far as a word lies from another of much the same meaning
MEASURED = 4096  # captions whose states give that deviation


class Conditions(NamedTuple):
    """What a denoiser is told: text_states (B, T, D), text_mask (B, T) and style (B, styles)."""

    text_states: Tensor
    text_mask: Tensor
    style: Tensor

    def without(self, dropped: Tensor) -> Conditions:
        """With neither words nor style where `dropped` (B,) is True."""
        kept = (~dropped).to(self.text_mask.dtype)[:, None]
        return Conditions(self.text_states, self.text_mask * kept, self.style * kept)

    def disturbed(self, deviation: Tensor, generator: torch.Generator) -> Conditions:
        """With words a little beside themselves: noise of up to NOISE times `deviation` (D,), more or less a caption.

        In so many dimensions noise takes no name for another. A network that has to see through it takes a word that
        it has not met for the nearest that it has.
        """
        strength = NOISE * torch.rand(len(self.text_states), 1, 1, generator=generator, device=deviation.device)
        noise = torch.randn(self.text_states.shape, generator=generator, device=deviation.device)
        return self._replace(text_states=self.text_states + strength * deviation * noise)

    def nothing(self) -> Conditions:
        """Without words and style, for the unconditional model."""
        return Conditions(self.text_states, torch.zeros_like(self.text_mask), torch.zeros_like(self.style))


@dataclass
class CaptionTable:
    """The captions of N pictures as text states, on one device.

    captions: (N, K) rows of the tables. styles: (N,). states, masks: (U, T, D) and (U, T), one row a distinct caption.
    """

    captions: Tensor
    styles: Tensor
    states: Tensor
    masks: Tensor

    def conditions(self, pictures: Tensor, generator: torch.Generator) -> Conditions:
        """A random caption of each of `pictures` (B,), in float32."""
        variant = draw_indices(self.captions.shape[1], len(pictures), generator)
        row = self.captions[pictures, variant]
        style = F.one_hot(self.styles[pictures], len(STYLES)).float()
        return Conditions(self.states[row].float(), self.masks[row].float(), style)


@dataclass
class LatentSet:
    """Latents (N, V, C, h, w), V movements of each of N pictures in float16, and the pictures' captions."""

    latents: Tensor
    table: CaptionTable

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Conditions]:
        """`count` random latents (count, C, h, w) in float32 with a random caption of each, somewhat disturbed."""
        picture = draw_indices(len(self.latents), count, generator)
        movement = draw_indices(self.latents.shape[1], count, generator)
        conditions = self.table.conditions(picture, generator).disturbed(self.deviation, generator)
        return self.latents[picture, movement].float(), conditions

    @cached_property
    def deviation(self) -> Tensor:
        """The standard deviation of each channel of the captions' states (D,)."""
        some = slice(0, MEASURED)
        return self.table.states[some][self.table.masks[some] > 0].float().std(0)

    def save(self, path: Path, made_from: str) -> None:
        """Writes one file; `made_from` says what the latents depend on, see `was_made_from`."""
        partial = path.with_suffix(".partial")
        save_file({"latents": self.latents, **vars(self.table)}, partial, {"made_from": made_from})
        partial.replace(path)

    @staticmethod
    def was_made_from(path: Path, made_from: str) -> bool:
        """True if `path` holds a set that was saved with the same `made_from`."""
        if not path.is_file():
            return False
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get("made_from") == made_from

    @classmethod
    def load(cls, path: Path, device: torch.device) -> LatentSet:
        """Reads what `save` wrote, onto `device`."""
        tensors = {name: tensor.to(device) for name, tensor in load_file(path).items()}
        return cls(tensors.pop("latents"), CaptionTable(**tensors))


@torch.no_grad()
def encode_captions(
    stickers: StickerSet, text_encoder: TextEncoder, tokenizer: Tokenizer, device: torch.device
) -> CaptionTable:
    """Every distinct caption through `text_encoder`, which is on `device`; states are kept in float16."""
    texts = sorted({caption for sticker in stickers.stickers for caption in sticker.captions})
    row = {caption: index for index, caption in enumerate(texts)}
    ids = torch.from_numpy(token_ids(tokenizer, texts)).to(device)
    states, masks = zip(*(_in_half(*text_encoder(chunk)) for chunk in ids.split(CHUNK)), strict=True)
    return CaptionTable(
        captions=torch.tensor(
            [[row[text] for text in sticker.captions] for sticker in stickers.stickers], device=device
        ),
        styles=torch.tensor([sticker.style for sticker in stickers.stickers], device=device),
        states=torch.cat(states),
        masks=torch.cat(masks),
    )


def _in_half(states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    return states.half(), mask.half()


@torch.no_grad()
def encode_pictures(stickers: StickerSet, encoder: Encoder, movements: int, device: torch.device) -> Tensor:
    """Latents (N, movements, C, h, w) in float16 on `device`, where `encoder` is; the first of each is not moved.

    None is mirrored: makers of stickers let a thing face the same way, and who has seen both ways gives it two heads.
    """
    generator = torch.Generator(device).manual_seed(0)
    latents = []
    for chunk in torch.arange(len(stickers.images)).split(CHUNK):
        pictures = premultiply(stickers.images[chunk].to(device))
        mirrored = torch.zeros(len(pictures), dtype=torch.bool, device=device)
        moved = [pictures, *(jitter(pictures, mirrored, generator) for _ in range(movements - 1))]
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            latents.append(torch.stack([encoder(picture) for picture in moved], dim=1).half())
    return torch.cat(latents)
