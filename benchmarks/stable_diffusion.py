"""A network of the shape of Stable Diffusion 1.5 with random weights, for its speed only: it draws noise.

One picture of 256x256 counts as 20 evaluations of the UNet, without classifier-free guidance (which would
double them) and without the text encoder, and one run of the decoder: the cheapest way to use that model.
"""

from __future__ import annotations

from collections.abc import Callable

from mobigen.errors import MissingExtraError
from mobigen.export.quiet import quiet

__all__ = ["STEPS", "evaluations"]

STEPS = 20
WORDS = (1, 77, 768)  # what CLIP's text encoder gives
LATENT = (1, 4, 32, 32)


def evaluations(threads: int) -> dict[str, Callable[[], object]]:
    """Two actions, in float32 by diffusers: "unet", one evaluation, and "decoder", a latent to a picture.

    Raises:
        MissingExtraError: diffusers is not installed.
    """
    try:
        with quiet():
            import torch
            from diffusers import AutoencoderKL, UNet2DConditionModel
    except ImportError as error:
        raise MissingExtraError(
            "the comparison needs diffusers; run: pip install 'mobigen[bench]', or use --skip diffusion"
        ) from error
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    with torch.device("meta"):  # shapes only: the usual initialisation takes longer than the measurement
        unet = UNet2DConditionModel(sample_size=LATENT[-1], cross_attention_dim=WORDS[-1])
        autoencoder = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=LATENT[1],
        )
    for network in (unet, autoencoder):
        network.to_empty(device="cpu").eval().requires_grad_(False)
        for parameter in network.parameters():
            parameter.uniform_(-0.02, 0.02)
    latent, words, time = torch.randn(LATENT), torch.randn(WORDS), torch.tensor([500])

    def run_unet() -> object:
        with torch.inference_mode():
            return unet(latent, time, encoder_hidden_states=words).sample

    def run_decoder() -> object:
        with torch.inference_mode():
            return autoencoder.decode(latent).sample

    return {"unet": run_unet, "decoder": run_decoder}
