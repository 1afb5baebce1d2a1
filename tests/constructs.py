"""One construct a row of the table of decompositions, and what its converter does to it without the row."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from mobigen.export.decompositions import COREML, LITERT
from mobigen.models.network import Network
from mobigen.signature import Signature, TensorSpec

aten = torch.ops.aten
WRONG, REFUSED, RIGHT = "wrong", "refused", "right"  # RIGHT: the row is there for the other converter


class Construct(NamedTuple):
    """What is done to x (2, 4, 6, 6), the rows that it needs, and what becomes of it without them."""

    module: nn.Module
    rows: tuple
    coreml: str
    litert: str


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def call(function, *rows, coreml=REFUSED, litert=REFUSED):
    return Construct(Call(function), rows, coreml, litert)


def resized(row, coreml=REFUSED, litert=REFUSED, **options):
    return call(lambda x: F.interpolate(x, **options), row, coreml=coreml, litert=litert)


def volume(x):
    """(2, 4, 6, 6) -> (2, 4, 2, 3, 6)."""
    return x.reshape(2, 4, 2, 3, 6)


def line(x):
    """(2, 4, 6, 6) -> (2, 4, 36)."""
    return x.flatten(2)


def grouped_attention(x):
    return F.scaled_dot_product_attention(x, x[:, :2], x[:, :2], enable_gqa=True)


def mask(keep):
    """Softmax over what a mask of -inf leaves."""
    return lambda x: torch.softmax(x + keep(torch.full((6, 6), float("-inf"))), -1)


def on_volume(module):
    return nn.Sequential(Call(volume), module)


def on_line(module):
    return nn.Sequential(Call(line), module)


CONSTRUCTS = {
    "add alpha": call(lambda x: torch.add(x, x.square(), alpha=0.5), aten.add.Tensor, coreml=WRONG),
    "add_ alpha": call(lambda x: x.clone().add_(x.square(), alpha=3), aten.add.Tensor, coreml=WRONG),
    "add number alpha": call(lambda x: aten.add.Scalar(x, 2, 3), aten.add.Scalar, coreml=REFUSED),
    "sub alpha": call(lambda x: torch.sub(x, x.square(), alpha=3), aten.sub.Tensor, coreml=WRONG),
    "sub number alpha": call(lambda x: aten.sub.Scalar(x, 2, 3), aten.sub.Scalar, coreml=REFUSED),
    "rsub alpha": call(lambda x: torch.rsub(x, x.square(), alpha=3), aten.rsub.Tensor, coreml=WRONG),
    "rsub number alpha": call(lambda x: torch.rsub(x, 2, alpha=3), aten.rsub.Scalar, coreml=WRONG),
    "nearest": resized(aten.upsample_nearest2d.vec, WRONG, WRONG, size=(10, 8)),
    "nearest, smaller": resized(aten.upsample_nearest2d.vec, RIGHT, WRONG, size=(3, 2)),
    "nearest by a factor": resized(aten.upsample_nearest2d.vec, RIGHT, WRONG, scale_factor=1.6),
    "bilinear by a factor": resized(aten.upsample_bilinear2d.vec, REFUSED, WRONG, scale_factor=1.3, mode="bilinear"),
    "bilinear": resized(aten.upsample_bilinear2d.vec, WRONG, RIGHT, size=(7, 10), mode="bilinear"),
    "bicubic": resized(aten.upsample_bicubic2d.vec, REFUSED, RIGHT, size=(9, 4), mode="bicubic"),
    "bilinear, antialiased": resized(
        aten._upsample_bilinear2d_aa.vec, WRONG, size=(3, 8), mode="bilinear", antialias=True
    ),
    "bicubic, antialiased": resized(aten._upsample_bicubic2d_aa.vec, size=(4, 9), mode="bicubic", antialias=True),
    "nearest of the middle": resized(
        aten._upsample_nearest_exact2d.vec, RIGHT, RIGHT, size=(10, 8), mode="nearest-exact"
    ),
    "nearest in 1-D": call(
        lambda x: F.interpolate(line(x), size=40), aten.upsample_nearest1d.vec, coreml=WRONG, litert=RIGHT
    ),
    "nearest of the middle in 1-D": call(
        lambda x: F.interpolate(line(x), size=40, mode="nearest-exact"),
        aten._upsample_nearest_exact1d.vec,
        coreml=RIGHT,
        litert=RIGHT,
    ),
    "nearest in 3-D": call(
        lambda x: F.interpolate(volume(x), size=(4, 7, 6)), aten.upsample_nearest3d.vec, coreml=RIGHT, litert=RIGHT
    ),
    "nearest of the middle in 3-D": call(
        lambda x: F.interpolate(volume(x), size=(1, 6, 4), mode="nearest-exact"),
        aten._upsample_nearest_exact3d.vec,
        coreml=RIGHT,
        litert=RIGHT,
    ),
    "linear in 1-D": call(
        lambda x: F.interpolate(line(x), size=25, mode="linear"), aten.upsample_linear1d.vec, coreml=WRONG, litert=RIGHT
    ),
    "trilinear": call(
        lambda x: F.interpolate(volume(x), size=(3, 3, 9), mode="trilinear"),
        aten.upsample_trilinear3d.vec,
        litert=RIGHT,
    ),
    "fold": call(lambda x: F.fold(x.reshape(2, 16, 9), (4, 4), 2), aten.col2im.default),
    "transposed convolution": Construct(
        nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
        (aten.conv_transpose2d.input,),
        RIGHT,
        REFUSED,
    ),
    "transposed convolution, extended": Construct(
        nn.ConvTranspose2d(4, 3, 2, stride=3, output_padding=1), (aten.conv_transpose2d.input,), REFUSED, REFUSED
    ),
    "transposed convolution in 1-D": Construct(
        on_line(nn.ConvTranspose1d(4, 3, 3, stride=2, padding=1, output_padding=1)),
        (aten.conv_transpose1d.default,),
        RIGHT,
        REFUSED,
    ),
    "grouped convolution in 3-D": Construct(
        on_volume(nn.Conv3d(4, 4, 3, padding=1, groups=4)), (aten.conv3d.default,), RIGHT, REFUSED
    ),
    "rms norm": Construct(
        nn.Sequential(Call(lambda x: x * 1e-3), nn.RMSNorm(6, eps=1e-5)), (aten.rms_norm.default,), WRONG, RIGHT
    ),
    "reciprocal": call(lambda x: 1 / (x.abs() + 1e-2), aten.reciprocal.default, coreml=WRONG, litert=RIGHT),
    "gelu by tanh": Construct(nn.GELU(approximate="tanh"), (aten.gelu.default,), WRONG, RIGHT),
    "softplus": Construct(nn.Softplus(beta=2, threshold=1), (aten.softplus.default,), WRONG, RIGHT),
    "lerp": call(lambda x: torch.lerp(x, x.square(), 0.3), aten.lerp.Scalar, litert=RIGHT),
    "atan2": call(
        lambda x: torch.atan2(x.round(), x.flip(1).round() - 1), aten.atan2.default, coreml=WRONG, litert=RIGHT
    ),
    "triu": call(mask(lambda full: full.triu(1)), aten.triu.default, coreml=WRONG, litert=RIGHT),
    "tril": call(mask(lambda full: full.tril(-1)), aten.tril.default, coreml=WRONG, litert=RIGHT),
    "group norm in 3-D": Construct(on_volume(nn.GroupNorm(2, 4)), (aten.group_norm.default,), REFUSED, RIGHT),
    "channel shuffle": Construct(nn.ChannelShuffle(2), (aten.channel_shuffle.default,), RIGHT, RIGHT),
    "circular padding": call(
        lambda x: F.pad(x, (2, 1, 0, 3), mode="circular"), aten.pad.default, coreml=REFUSED, litert=RIGHT
    ),
    "grouped-query attention": call(grouped_attention, aten.scaled_dot_product_attention.default, litert=RIGHT),
    "sort": call(lambda x: torch.sort(x, 1, descending=True)[0], aten.sort.default, coreml=RIGHT),
    "stable sort": call(
        lambda x: torch.sort(x.round(), stable=True)[1].float(), aten.sort.stable, coreml=RIGHT
    ),
    "argsort": call(lambda x: torch.argsort(x, -1).float(), aten.argsort.default, coreml=RIGHT),
    "top k": call(lambda x: torch.topk(x, 3, 2)[0], aten.topk.default, coreml=RIGHT),
    "cumprod": call(lambda x: torch.cumprod(x, -1), aten.cumprod.default, coreml=RIGHT),
    "one hot": call(
        lambda x: F.one_hot(x.abs().long().clamp(max=3), 4).float(), aten.one_hot.default, coreml=RIGHT
    ),
}  # fmt: skip
TABLES = {"coreml": COREML, "litert": LITERT}


class Constructs(Network):
    """x -> what each of some constructs makes of it."""

    component = "constructs"

    def __init__(self, names):
        super().__init__()
        self.parts = nn.ModuleList(CONSTRUCTS[name].module for name in names)
        self.eval()

    def forward(self, x):
        return tuple(part(x) for part in self.parts)

    def signature(self):
        with torch.no_grad():
            shapes = [tuple(each.shape) for each in self(torch.zeros(2, 4, 6, 6))]
        outputs = tuple(TensorSpec(f"y{index}", shape) for index, shape in enumerate(shapes))
        return Signature(self.component, (TensorSpec("x", (2, 4, 6, 6)),), outputs)

    def example_inputs(self, generator):
        return {"x": torch.randn(2, 4, 6, 6, generator=generator)}
