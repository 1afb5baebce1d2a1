"""Attention: softmax attention to a context, and ReLU linear attention whose cost grows linearly with the tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobigen.nn.norm import RMSNorm

__all__ = ["Attention", "ReLULinearAttention", "masked_mean"]

MASKED = -1e4  # finite, so that a fully masked row stays a number in float16


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """The mean of the states (B, T, D) where `mask` (B, T) is 1, (B, D); zero where it is 0 throughout."""
    return (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1.0)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, C) -> (B, heads, N, C / heads)."""
    batch, tokens, dim = x.shape
    return x.reshape(batch, tokens, heads, dim // heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, heads, N, D) -> (B, N, heads * D)."""
    batch, heads, tokens, dim = x.shape
    return x.transpose(1, 2).reshape(batch, tokens, heads * dim)


class Attention(nn.Module):
    """Softmax attention from tokens to a context, with RMS-normalised queries and keys.

    The norm runs over the full width before the heads are split, as in SANA (arXiv 2410.10629).
    """

    def __init__(self, dim: int, context_dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(context_dim, dim)
        self.value = nn.Linear(context_dim, dim)
        self.query_norm = RMSNorm(dim)
        self.key_norm = RMSNorm(dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """`x` (B, N, dim), `context` (B, T, context_dim), `mask` (B, T) with 1 to read, 0 to skip -> (B, N, dim)."""
        query = split_heads(self.query_norm(self.query(x)), self.heads)
        key = split_heads(self.key_norm(self.key(context)), self.heads)
        value = split_heads(self.value(context), self.heads)
        bias = ((1 - mask) * MASKED)[:, None, None, :].to(query.dtype)
        return self.out(merge_heads(F.scaled_dot_product_attention(query, key, value, attn_mask=bias)))


class ReLULinearAttention(nn.Module):
    """Self-attention with a ReLU feature map (SANA, arXiv 2410.10629, section 2.2).

    O_i = relu(q_i) S / (relu(q_i) z), S = mean_j relu(k_j) v_j^T, z = mean_j relu(k_j). The means stand in for the
    paper's sums: the ratio is the same, and no entry grows with the number of tokens, so float16 does not overflow.
    """

    EPS = 1e-4  # still a normal number in float16

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.query_norm = RMSNorm(dim)
        self.key_norm = RMSNorm(dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, dim) -> (B, N, dim)."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        query = split_heads(F.relu(self.query_norm(query)), self.heads)
        key = split_heads(F.relu(self.key_norm(key)), self.heads) / x.shape[1]
        value = split_heads(value, self.heads)
        state = torch.matmul(key.transpose(-1, -2), value)
        norm = torch.matmul(query, key.sum(2, keepdim=True).transpose(-1, -2))
        return self.out(merge_heads(torch.matmul(query, state) / (norm + self.EPS)))
