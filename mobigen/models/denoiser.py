"""The sticker denoiser: a diffusion transformer with ReLU linear attention.

Blocks as in SANA (Xie et al. 2024, arXiv 2410.10629): linear self-attention, softmax cross-attention to text and a
gated depthwise feed-forward, with one time modulation shared by all blocks plus a small table each (PixArt, arXiv
2310.00426).
Budget at the default size: 15.2 M parameters, 3.3 G multiply-accumulates a step on 16x16 tokens.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mobigen.errors import ConfigError
from mobigen.models.network import Network, check_heads
from mobigen.nn.attention import Attention, ReLULinearAttention, masked_mean
from mobigen.nn.conv import GatedDepthwiseFeedForward
from mobigen.nn.embed import TimeEmbedding
from mobigen.nn.norm import modulate
from mobigen.signature import Signature, TensorSpec

__all__ = ["Denoiser"]


class DenoiserBlock(nn.Module):
    """Linear attention, attention to the text, gated feed-forward; the first and the last are modulated."""

    def __init__(self, dim: int, context_dim: int, heads: int, ratio: float):
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.attention = ReLULinearAttention(dim, heads)
        self.cross_attention = Attention(dim, context_dim, heads)
        self.feed_forward = GatedDepthwiseFeedForward(dim, ratio)
        self.table = nn.Parameter(torch.zeros(6, dim))

    def forward(self, x: Tensor, modulation: Tensor, context: Tensor, mask: Tensor, size: tuple[int, int]) -> Tensor:
        """One block.

        Args:
            x: tokens (B, N, C), N = H * W.
            modulation: (B, 6, C), to which the block's table is added.
            context: (B, T, D), what may be read of the text.
            mask: (B, T), 1 to read and 0 to skip.
            size: (H, W) of the map.

        Returns:
            (B, N, C).
        """
        parts = (self.table + modulation).chunk(6, dim=1)
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = parts
        x = x + gate_a * self.attention(modulate(self.norm(x), shift_a, scale_a))
        x = x + self.cross_attention(self.norm(x), context, mask)
        return x + gate_f * self.feed_forward(modulate(self.norm(x), shift_f, scale_f), size)


def _silence(block: nn.Module) -> None:
    """Makes a block the identity, whatever the modulation."""
    for output in ("attention.out", "cross_attention.out", "feed_forward.reduce"):
        for parameter in block.get_submodule(output).parameters():
            nn.init.zeros_(parameter)


class Denoiser(Network):
    """Predicts the velocity noise - x0 of a noisy latent, given time, text and style.

    Without words (a mask of zeros) and without style (a vector of zeros) it is the unconditional model. One that
    `averages` is also told where a step ends, and predicts the velocity's average over it, so that the step is exact
    however long (mean flows, Geng et al., arXiv 2505.13447, equation 3).

    Raises:
        ConfigError: `dim` is not a multiple of `heads`.
    """

    component: ClassVar[str] = "denoiser"

    def __init__(
        self,
        latent_channels: int = 16,
        latent_size: int = 16,  # rows and columns
        dim: int = 256,
        depth: int = 14,
        heads: int = 8,
        ratio: float = 2.5,
        text_dim: int = 256,
        text_tokens: int = 24,
        styles: int = 7,
        averages: bool = False,
    ):
        super().__init__()
        check_heads(dim, heads)
        self.latent_channels, self.latent_size = latent_channels, latent_size
        self.text_dim, self.text_tokens, self.styles = text_dim, text_tokens, styles
        self.embed = nn.Conv2d(latent_channels, dim, 1)
        self.position = nn.Parameter(torch.randn(1, latent_size**2, dim) * 0.02)
        self.time = TimeEmbedding(dim)
        self.until = TimeEmbedding(dim) if averages else None
        self.style = nn.Linear(styles, dim, bias=False)
        self.pooled_text = nn.Linear(text_dim, dim)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.no_text = nn.Parameter(torch.randn(1, 1, text_dim) * 0.02)
        self.blocks = nn.ModuleList(DenoiserBlock(dim, text_dim, heads, ratio) for _ in range(depth))
        self.final_norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.final_modulation = nn.Linear(dim, 2 * dim)
        self.final = nn.Linear(dim, latent_channels)
        self._initialise()

    def _initialise(self) -> None:
        """Every block starts as the identity and the output at zero (adaLN-Zero, Peebles and Xie 2023)."""
        outputs = [block.get_submodule("cross_attention.out") for block in self.blocks]
        ends = [] if self.until is None else [self.until.perceptron[-1]]
        for layer in (self.modulation, self.final_modulation, self.final, *outputs, *ends):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)

    def averaging(self) -> Denoiser:
        """A copy that also takes `until`, and begins by taking no notice of it."""
        config: Any = self._hub_mixin_config
        other = Denoiser(**{**config, "averages": True})
        other.load_state_dict({**other.state_dict(), **self.state_dict()})
        return other

    def deepened(self, depth: int) -> Denoiser:
        """A copy of `depth` blocks to train on, which predicts the same: blocks that add nothing yet are put in evenly,
        each a copy of the one before it in all but its outputs (in the manner of Net2Net, arXiv 1511.05641).

        Raises:
            ConfigError: it has more blocks already.
        """
        if depth < len(self.blocks):
            raise ConfigError(f"depth {depth} is less than the {len(self.blocks)} blocks that the denoiser has")
        sources = [(2 * place + 1) * len(self.blocks) // (2 * depth) for place in range(depth)]
        blocks = [copy.deepcopy(self.blocks[source]) for source in sources]
        for block, (before, source) in zip(blocks[1:], pairwise(sources), strict=True):
            if source == before:
                _silence(block)
        config: Any = self._hub_mixin_config
        other = Denoiser(**{**config, "depth": depth})
        other.load_state_dict(self.state_dict(), strict=False)  # all but the blocks, which are put in place next
        other.blocks = nn.ModuleList(blocks)
        return other

    def forward(
        self,
        latent: Tensor,
        time: Tensor,
        text_states: Tensor,
        text_mask: Tensor,
        style: Tensor,
        until: Tensor | None = None,
    ) -> Tensor:
        """One evaluation.

        Args:
            latent: (B, C, H, W), unit variance at every time.
            time: (B,) in [0, 1]; 0 is data, 1 is noise.
            text_states: (B, T, text_dim) from the text encoder.
            text_mask: (B, T), 1 on words, 0 on padding.
            style: (B, styles), one-hot, or weights that mix styles.
            until: (B,) in [0, time], where the step ends; None for a step of no length. A network that does not
                average takes every step for one of no length.

        Returns:
            velocity (B, C, H, W), an estimate of noise - x0 averaged over the step.
        """
        condition = self.condition(time, text_states, text_mask, style, until)
        return self.velocity(self.tokens(latent, condition, text_states, text_mask), condition)

    def condition(
        self, time: Tensor, text_states: Tensor, text_mask: Tensor, style: Tensor, until: Tensor | None = None
    ) -> Tensor:
        """(B, dim): time, style, the mean of the words and where the step ends; arguments as of `forward`."""
        condition = self.time(time) + self.style(style) + self.pooled_text(masked_mean(text_states, text_mask))
        return condition if self.until is None else condition + self.until(time if until is None else until)

    def tokens(self, latent: Tensor, condition: Tensor, text_states: Tensor, text_mask: Tensor) -> Tensor:
        """(B, H * W, dim) after the last block: what the velocity, and a discriminator, are read from."""
        x = self.embed(latent).flatten(2).transpose(1, 2) + self.position  # (B, N, dim)
        modulation = self.modulation(condition).unflatten(1, (6, -1))
        context = torch.cat([self.no_text.expand(len(latent), -1, -1).to(text_states.dtype), text_states], dim=1)
        mask = torch.cat([torch.ones_like(text_mask[:, :1]), text_mask], dim=1)
        for block in self.blocks:
            x = block(x, modulation, context, mask, (self.latent_size, self.latent_size))
        return x

    def velocity(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """(B, C, H, W) of the tokens (B, H * W, dim)."""
        shift, scale = self.final_modulation(nn.functional.silu(condition)).unsqueeze(1).chunk(2, dim=2)
        velocity = self.final(modulate(self.final_norm(tokens), shift, scale))
        return velocity.transpose(1, 2).unflatten(2, (self.latent_size, self.latent_size))

    def signature(self) -> Signature:
        latent = (1, self.latent_channels, self.latent_size, self.latent_size)
        inputs: tuple[TensorSpec, ...] = (
            TensorSpec("latent", latent),
            TensorSpec("time", (1,), low=0.0, high=1.0),
            TensorSpec("text_states", (1, self.text_tokens, self.text_dim)),
            TensorSpec("text_mask", (1, self.text_tokens), low=0.0, high=1.0),
            TensorSpec("style", (1, self.styles), low=0.0, high=1.0),
        )
        if self.until is not None:
            inputs = (*inputs, TensorSpec("until", (1,), low=0.0, high=1.0))
        return Signature(self.component, inputs, (TensorSpec("velocity", latent),))

    def example_inputs(self, generator: torch.Generator) -> dict[str, Tensor]:
        tokens, time = self.text_tokens, torch.rand(1, generator=generator)
        inputs = {
            "latent": torch.randn(1, self.latent_channels, self.latent_size, self.latent_size, generator=generator),
            "time": time,
            "text_states": torch.randn(1, tokens, self.text_dim, generator=generator),
            "text_mask": (torch.arange(tokens) < tokens // 3).float()[None],
            "style": torch.eye(self.styles)[:1],
        }
        return inputs if self.until is None else {**inputs, "until": time / 2}
