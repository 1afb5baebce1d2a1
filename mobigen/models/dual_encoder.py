"""A dual encoder of stickers and captions, the judge in evaluations.

Pictures and captions go to unit vectors that agree when they match, as in CLIP (Radford et al. 2021, arXiv 2103.00020).
Budget at the default size: 3.6 M parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.models.network import Network
from mobigen.nn.conv import ResidualBlock
from mobigen.nn.norm import ChannelRMSNorm
from mobigen.nn.resample import FoldDown
from mobigen.signature import Signature, TensorSpec

__all__ = ["DualEncoder"]


class DualEncoder(Network):
    """An image tower of its own, and a small text tower on the frozen states of the text encoder."""

    component: ClassVar[str] = "dual_encoder"

    def __init__(
        self,
        image_size: int = 128,  # pixels a side, after reduction
        widths: Sequence[int] = (64, 128, 256),  # at 1/4, 1/8 and 1/16
        depth: int = 2,
        dim: int = 256,
        text_dim: int = 256,
        text_tokens: int = 24,
    ):
        super().__init__()
        self.image_size, self.text_dim, self.text_tokens, self.dim = image_size, text_dim, text_tokens, dim
        layers: list[nn.Module] = [FoldDown(4, widths[0], 4, kernel=3)]
        for level, width in enumerate(widths):
            if level:
                layers.append(FoldDown(widths[level - 1], width, 2))
            layers += [ResidualBlock(width) for _ in range(depth)]
        self.trunk = nn.Sequential(*layers, ChannelRMSNorm())
        self.image_head = nn.Sequential(nn.Linear(widths[-1], dim), nn.GELU(), nn.Linear(dim, dim))
        self.text_head = nn.Sequential(nn.Linear(text_dim, dim), nn.GELU(), nn.Linear(dim, dim))
        self.log_scale = nn.Parameter(torch.tensor(2.7))  # of the similarities, exp(2.7) = 15

    def embed_image(self, image: Tensor) -> Tensor:
        """Premultiplied RGBA (B, 4, H, W) in [-1, 1], H a multiple of `image_size` -> unit vectors (B, dim)."""
        reduced = F.avg_pool2d(image, image.shape[-1] // self.image_size)
        return F.normalize(self.image_head(self.trunk(reduced).mean((2, 3))).float(), dim=-1)

    def embed_text(self, text_states: Tensor, text_mask: Tensor) -> Tensor:
        """States (B, T, D) and mask (B, T) of the text encoder -> unit vectors (B, dim)."""
        words = self.text_head(text_states) * text_mask[:, :, None]
        return F.normalize(words.sum(1).float(), dim=-1)

    def forward(self, image: Tensor, text_states: Tensor, text_mask: Tensor) -> tuple[Tensor, Tensor]:
        """-> unit vectors of the pictures and of the captions, (B, dim) each."""
        return self.embed_image(image), self.embed_text(text_states, text_mask)

    def signature(self) -> Signature:
        size = self.image_size
        inputs = (
            TensorSpec("image", (1, 4, size, size), low=-1.0, high=1.0),
            TensorSpec("text_states", (1, self.text_tokens, self.text_dim)),
            TensorSpec("text_mask", (1, self.text_tokens), low=0.0, high=1.0),
        )
        outputs = (
            TensorSpec("image_vector", (1, self.dim), low=-1.0, high=1.0),
            TensorSpec("text_vector", (1, self.dim), low=-1.0, high=1.0),
        )
        return Signature(self.component, inputs, outputs)

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        tokens = self.text_tokens
        return {
            "image": torch.rand(1, 4, self.image_size, self.image_size, generator=generator) * 2 - 1,
            "text_states": torch.randn(1, tokens, self.text_dim, generator=generator),
            "text_mask": (torch.arange(tokens) < tokens // 3).float()[None],
        }
