"""The text encoder: a small transformer over word pieces, its embedding factorised so that the vocabulary can be wide.

It is distilled from a sentence encoder: the masked mean of its states, mapped by `sentence`, imitates the teacher's
sentence embedding, so words that no caption holds still land beside their neighbours. Factorised embeddings: ALBERT
(arXiv 1909.11942).
Budget at the default size: 3.7 M parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mobigen.models.network import Network, check_heads
from mobigen.nn.attention import Attention, masked_mean
from mobigen.signature import Signature, TensorSpec

__all__ = ["TextEncoder"]


class TextBlock(nn.Module):
    """Pre-norm self-attention and a GELU perceptron."""

    def __init__(self, dim: int, heads: int, ratio: float):
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = Attention(dim, dim, heads)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, int(dim * ratio)), nn.GELU(), nn.Linear(int(dim * ratio), dim)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`x` (B, T, dim), `mask` (B, T) -> (B, T, dim)."""
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, mask)
        return x + self.perceptron(x)


class TextEncoder(Network):
    """Token ids -> one state a token, and the mask of real tokens.

    Raises:
        ConfigError: `dim` is not a multiple of `heads`.
    """

    component: ClassVar[str] = "text_encoder"
    _hub_mixin_config: Any

    def __init__(
        self,
        vocabulary: int = 20480,
        tokens: int = 24,
        embedding_dim: int = 96,
        dim: int = 256,
        depth: int = 3,
        heads: int = 4,
        ratio: float = 2.0,
        sentence_dim: int = 384,  # of the teacher, all-MiniLM-L6-v2
    ):
        super().__init__()
        check_heads(dim, heads)
        self.vocabulary, self.tokens, self.dim = vocabulary, tokens, dim
        self.embedding = nn.Embedding(vocabulary, embedding_dim)
        self.widen = nn.Linear(embedding_dim, dim, bias=False)
        self.position = nn.Parameter(torch.randn(1, tokens, dim) * 0.02)
        self.blocks = nn.ModuleList(TextBlock(dim, heads, ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.sentence = nn.Linear(dim, sentence_dim)

    def forward(self, token_ids: Tensor) -> tuple[Tensor, Tensor]:
        """`token_ids` (B, T) of int32, 0 is padding -> states (B, T, dim) and mask (B, T) with 1 on tokens."""
        mask = (token_ids != 0).to(self.position.dtype)
        x = self.widen(self.embedding(token_ids)) + self.position[:, : token_ids.shape[1]]
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x), mask

    def pool(self, token_ids: Tensor) -> Tensor:
        """`token_ids` (B, T) -> the mean state of each phrase (B, dim), as a denoiser pools them."""
        return masked_mean(*self(token_ids))

    def embed_sentence(self, token_ids: Tensor) -> Tensor:
        """`token_ids` (B, T) -> unit vectors (B, sentence_dim) that imitate the teacher's sentence embedding."""
        return self.as_sentence(self.pool(token_ids))

    def as_sentence(self, pooled: Tensor) -> Tensor:
        """Mean states (B, dim) of `pool` -> what `embed_sentence` returns."""
        return nn.functional.normalize(self.sentence(pooled), dim=-1)

    def with_entries(self, first: int, pieces: Sequence[Sequence[int]]) -> TextEncoder:
        """The same encoder, its vocabulary wider if need be, with entries that begin as the mean of others.

        Args:
            first: id of the first new entry; those below stay as they are.
            pieces: for each new entry, the ids of the known ones that spell it.
        """
        rows = self.embedding.weight.detach()
        begun = [rows[list(spelled)].mean(0, keepdim=True) for spelled in pieces]
        table = torch.cat([rows[:first], *begun, rows[first + len(pieces) :]])
        wider = TextEncoder(**{**self._hub_mixin_config, "vocabulary": len(table)})
        wider.load_state_dict({**self.state_dict(), "embedding.weight": table})
        return wider

    def signature(self) -> Signature:
        ids = TensorSpec("token_ids", (1, self.tokens), "int32", low=0, high=self.vocabulary - 1)
        states = TensorSpec("text_states", (1, self.tokens, self.dim))
        return Signature(self.component, (ids,), (states, TensorSpec("text_mask", (1, self.tokens), low=0.0, high=1.0)))

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        ids = torch.randint(1, self.vocabulary, (1, self.tokens), generator=generator, dtype=torch.int32)
        ids[:, self.tokens // 3 :] = 0
        return {"token_ids": ids}
