"""Image encoders of Segment Anything with random weights, for their speed and size only: they see nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mobigen.errors import MissingExtraError
from mobigen.export.quiet import quiet

__all__ = ["ENCODERS", "encoder"]

ENCODERS: dict[str, dict[str, Any]] = {  # as published (arXiv 2304.02643, appendix A), for pictures of 1024x1024
    "sam_vit_b": {},
    "sam_vit_h": {
        "hidden_size": 1280, "mlp_dim": 5120, "num_hidden_layers": 32, "num_attention_heads": 16,
        "global_attn_indexes": [7, 15, 23, 31],
    },
}  # fmt: skip


def encoder(name: str, threads: int) -> tuple[Callable[[], object], int]:
    """One pass of an encoder of ENCODERS in float32 by transformers, and its number of parameters.

    Raises:
        MissingExtraError: transformers is not installed.
    """
    try:
        with quiet():
            import torch
            from transformers import SamVisionConfig, SamVisionModel
    except ImportError as error:
        raise MissingExtraError(
            "the comparison needs transformers; run: pip install 'mobigen[bench]', or use --skip sam"
        ) from error
    torch.set_num_threads(threads)
    with torch.device("meta"):  # shapes only: the usual initialisation takes longer than the measurement
        network = SamVisionModel(SamVisionConfig(**ENCODERS[name]))
    network.to_empty(device="cpu").eval().requires_grad_(False)
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.uniform_(-0.02, 0.02)
    pixels = torch.randn(1, 3, 1024, 1024)

    def run() -> object:
        with torch.inference_mode():
            return network(pixels).last_hidden_state

    return run, sum(parameter.numel() for parameter in network.parameters())
