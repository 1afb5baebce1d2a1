"""Every network at tiny size, with weights as training might leave them: none is zero, so that every input matters."""

import torch
from tiny_super_resolution import UPSCALERS

from mobigen.models.autoencoder import Decoder, Encoder, TeacherDecoder
from mobigen.models.denoiser import Denoiser
from mobigen.models.dual_encoder import DualEncoder
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.models.squeezesam import SqueezeSAM
from mobigen.models.text_encoder import TextEncoder

TOKENS = 8
SEGMENTER = {"image_size": 64, "dims": (8, 6, 4), "edges": 3}
AUTOENCODER = {"image_size": 64, "latent_channels": 4, "depth": 1}
SIZES = {
    TextEncoder: {"vocabulary": 50, "tokens": TOKENS, "embedding_dim": 8, "dim": 16, "depth": 2, "heads": 2},
    Denoiser: {
        "latent_channels": 4, "latent_size": 4, "text_dim": 16, "text_tokens": TOKENS,
        "dim": 16, "depth": 2, "heads": 2,
    },
    Encoder: {**AUTOENCODER, "widths": (8, 10, 12)},
    TeacherDecoder: {**AUTOENCODER, "widths": (12, 10, 8)},
    Decoder: {**AUTOENCODER, "widths": (10, 8, 6), "head_width": 4},
    DualEncoder: {"image_size": 32, "widths": (8, 10), "depth": 1, "dim": 6, "text_dim": 16, "text_tokens": TOKENS},
    ImageEncoder: {
        **SEGMENTER, "stem": 4, "widths": (4, 4, 6, 6, 8, 8, 8), "depths": (1, 1, 1, 1, 1, 1, 1), "expansion": 2,
    },
    ClickDecoder: {**SEGMENTER, "points": TOKENS, "widths": (8, 10), "depth": 1, "key_dim": 4},
    SqueezeSAM: {"image_size": 64, "points": TOKENS, "widths": (8, 10, 16), "heads": 2, "depth": 2},
    **UPSCALERS,
}  # fmt: skip
KINDS = tuple(SIZES)


def tiny(kind, seed=0, **changes):
    """A network of `kind` in evaluation mode."""
    network = kind(**{**SIZES[kind], **changes})
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        fan_in = parameter[0].numel() if parameter.ndim == 4 else 1
        torch.nn.init.normal_(parameter, std=min(0.2, fan_in**-0.5), generator=generator)
    return network.eval()


def results(network, inputs):
    """The outputs of a network as a tuple."""
    with torch.no_grad():
        outputs = network(**inputs)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def examples(network, seed=0):
    return network.example_inputs(torch.Generator().manual_seed(seed))
