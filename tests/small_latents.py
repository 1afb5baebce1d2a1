"""A set of random latents with random captions, as the tasks of denoisers draw from."""

import torch
from tiny_networks import TOKENS

from mobigen.data.latents import CaptionTable, LatentSet


def small_latents(pictures=6, channels=4, size=4, dim=16):
    generator = torch.Generator().manual_seed(0)
    captions = pictures * 2
    table = CaptionTable(
        captions=torch.arange(captions).reshape(pictures, 2),
        styles=torch.arange(pictures) % 7,
        states=torch.randn(captions, TOKENS, dim, generator=generator).half(),
        masks=(torch.arange(TOKENS) < 1 + torch.arange(captions)[:, None] % TOKENS).half(),
    )
    return LatentSet(torch.randn(pictures, 3, channels, size, size, generator=generator).half(), table)
