"""Scores of generated stickers: caption retrieval, Fréchet distance, and hue. Plain functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mobigen.data.recolour import colour_shares

__all__ = ["frechet_distance", "has_colour", "retrieval_accuracy", "to_uint8"]

COLOURED_SHARE = 0.3  # of the visible area, for a colour to count as shown when another covers more of it


def retrieval_accuracy(images: Tensor, texts: Tensor, names: Sequence[str], among: int, seed: int = 0) -> float:
    """Share of pictures whose own caption is the most similar among `among` captions of different names.

    Args:
        images: unit vectors (N, D).
        texts: unit vectors (N, D), row i the caption of picture i.
        names: of the N pictures; captions of the same name are never rivals.
        among: captions to choose from, the right one included.
        seed: of the rivals drawn.
    """
    source = np.random.default_rng(seed)
    similarity = (images @ texts.T).cpu().numpy()
    labels = np.unique(np.array(names), return_inverse=True)[1]
    hits = 0
    for index, row in enumerate(similarity):
        others = np.flatnonzero(labels != labels[index])
        rivals = source.choice(others, size=min(among - 1, len(others)), replace=False)
        hits += bool(row[index] > row[rivals].max())
    return hits / len(similarity)


def frechet_distance(features: Tensor, others: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 sqrt(C1 C2)) of two sets of features (N, D) (Heusel et al., arXiv 1706.08500)."""
    first, second = features.double().cpu().numpy(), others.double().cpu().numpy()
    gap = first.mean(0) - second.mean(0)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    cross = np.sqrt(np.clip(np.linalg.eigvals(one @ two).real, 0, None)).sum()
    return float(gap @ gap + np.trace(one) + np.trace(two) - 2 * cross)


def has_colour(rgba: NDArray[np.uint8], colour: str) -> bool:
    """Whether `colour` covers more of a sticker (H, W, 4) than any other does, outlines in black or white aside."""
    shares = colour_shares(rgba)
    rivals = [share for name, share in shares.items() if name not in (colour, "black", "white", "gray")]
    if colour in ("black", "white", "gray"):
        return shares[colour] >= max(COLOURED_SHARE, *rivals)
    return shares[colour] > max(rivals) and shares[colour] >= COLOURED_SHARE / 2


def to_uint8(straight: Tensor) -> NDArray[np.uint8]:
    """Straight RGBA (B, 4, H, W), about [-1, 1] -> (B, H, W, 4) of uint8."""
    pixels = (straight.clamp(-1, 1) + 1) * 127.5
    return pixels.round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
