"""The networks of super-resolution at tiny size."""

from mobigen.models.abpn import ABPN
from mobigen.models.mfagan import AggregationGenerator, PatchDiscriminator
from mobigen.models.plain_upscaler import PlainUpscaler
from mobigen.models.sesr import SESR
from mobigen.models.syenet import SYENet
from mobigen.models.xlsr import XLSR

TILE = {"tile_height": 12, "tile_width": 16}
UPSCALERS = {
    SESR: {"depth": 2, "width": 4, "hidden": 6, **TILE},
    XLSR: TILE,
    ABPN: TILE,
    SYENet: TILE,
    PlainUpscaler: {"width": 8, "depth": 2, "hidden": 6, **TILE},
    AggregationGenerator: {"width": 8, "blocks": 2, **TILE},
    PatchDiscriminator: {"width": 4, "depth": 2, "image_size": 16},
}
GENERATORS = [kind for kind in UPSCALERS if kind is not PatchDiscriminator]
