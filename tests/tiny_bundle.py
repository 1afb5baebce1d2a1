"""A tiny sticker model: real networks with random weights, and the bundle that the engine makes of them.

`tiny_weights(folder)` writes what training would leave in weights/sticker; `tiny_bundle(folder, weights)`
exports that in about ten seconds. Both return the folder.
"""

import json

STYLES = ["3d", "flat", "noto"]
TOKENS = 8
WORDS = ["red", "green", "blue", "apple", "fox", "car", "a", "the", "sleepy", "cafe", "##s", "##y", "xylo"]
JOINED = {"task": "text-to-image", "components": ["text_encoder", "denoiser", "decoder"]}
PIPELINE = {
    "sampler": {"kind": "euler", "times": {"1": [1.0, 0.0], "2": [1.0, 0.75, 0.0], "4": [1.0, 0.9, 0.75, 0.5, 0.0]}},
    "styles": STYLES,
    "default_style": "3d",
    "default_steps": 4,
    "max_tokens": TOKENS,
    "image_size": 64,
}
CREDITS = {
    "licence": "Apache-2.0",
    "credits": [{"name": "random numbers", "licence": "CC0-1.0", "note": "nothing was trained"}],
}
FLOAT32 = {"text_encoder": "float32", "denoiser": "float32", "decoder": "float32"}


def tiny_networks():
    """The three networks of a sticker model, in evaluation mode; no weight is zero: every input matters."""
    import torch

    from mobigen.models.autoencoder import Decoder
    from mobigen.models.denoiser import Denoiser
    from mobigen.models.text_encoder import TextEncoder

    generator = torch.Generator().manual_seed(0)
    networks = (
        TextEncoder(vocabulary=len(entries()), tokens=TOKENS, embedding_dim=8, dim=16, depth=1, heads=2),
        Denoiser(
            latent_channels=4,
            latent_size=4,
            dim=16,
            depth=1,
            heads=2,
            text_dim=16,
            text_tokens=TOKENS,
            styles=len(STYLES),
            averages=True,
        ),
        Decoder(image_size=64, latent_channels=4, widths=(8, 8, 8), depth=1, head_width=4),
    )
    for network in networks:
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.18, generator=generator)
    return [network.eval() for network in networks]


def tiny_weights(folder):
    """Write a model's weights folder: <component>/, tokenizer.json, pipeline.json and credits.json."""
    for network in tiny_networks():
        network.save_pretrained(folder / network.component)
    write_tokenizer(folder / "tokenizer.json")
    (folder / "pipeline.json").write_text(json.dumps(JOINED | PIPELINE))
    (folder / "credits.json").write_text(json.dumps(CREDITS))
    return folder


def tiny_bundle(folder, weights, **plan):
    """Export `tiny_weights` into `folder`, for LiteRT in float32 unless a plan (backend=components) is given."""
    from mobigen.export.engine import export_model
    from mobigen.export.source import read_source

    return export_model(read_source("sticker", weights), folder, plan or {"litert": FLOAT32})


def entries():
    """The tokenizer's vocabulary: a few words and all letters."""
    letters = [piece for letter in "abcdefghijklmnopqrstuvwxyz" for piece in (letter, f"##{letter}")]
    return list(dict.fromkeys(["[PAD]", "[UNK]", *WORDS, *letters]))


def write_tokenizer(path):
    """A lower-casing WordPiece tokenizer."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    ids = {entry: index for index, entry in enumerate(entries())}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.save(str(path))
