"""Networks, one family a file; they do not know how they are trained, exported or named."""

__all__ = ["NETWORKS"]

NETWORKS: dict[str, str] = {  # class, as a config.json names it -> its module
    "ABPN": "mobigen.models.abpn",
    "AggregationGenerator": "mobigen.models.mfagan",
    "ClickDecoder": "mobigen.models.segmenter",
    "Decoder": "mobigen.models.autoencoder",
    "Denoiser": "mobigen.models.denoiser",
    "DualEncoder": "mobigen.models.dual_encoder",
    "Encoder": "mobigen.models.autoencoder",
    "ImageEncoder": "mobigen.models.segmenter",
    "PatchDiscriminator": "mobigen.models.mfagan",
    "PlainUpscaler": "mobigen.models.plain_upscaler",
    "SESR": "mobigen.models.sesr",
    "SqueezeSAM": "mobigen.models.squeezesam",
    "SYENet": "mobigen.models.syenet",
    "TeacherDecoder": "mobigen.models.autoencoder",
    "TextEncoder": "mobigen.models.text_encoder",
    "XLSR": "mobigen.models.xlsr",
}
