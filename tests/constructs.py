"""A construct for every row of the table of decompositions, and what its converter does to it without the row."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from mobigen.export.decompositions import COREML, LITERT
from mobigen.models.network import Network
from mobigen.signature import Signature, TensorSpec

aten = torch.ops.aten
WRONG, REFUSED = "wrong", "refused"
GATHERS = "gathers"  # right, by many gathers, which no accelerator has
RIGHT = "right"  # the row is for the other converter, or for other arguments


class Construct(NamedTuple):
    """What is done to x (2, 4, 6, 6), the row that it needs, and what becomes of it without."""

    module: nn.Module
    row: torch._ops.OpOverload
    coreml: str
    litert: str


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def volume(x):
    """(2, 4, 6, 6) -> (2, 4, 2, 3, 6)."""
    return x.reshape(2, 4, 2, 3, 6)


def line(x):
    """(2, 4, 6, 6) -> (2, 4, 36)."""
    return x.flatten(2)


def grouped_attention(x):
    return F.scaled_dot_product_attention(x, x[:, :2], x[:, :2], enable_gqa=True)


def masked(keep):
    """x -> softmax over what a mask, of -inf where `keep` keeps it, leaves of x."""
    return lambda x: torch.softmax(x + keep(torch.full((6, 6), float("-inf"))), -1)


def call(row, coreml, litert, function):
    return Construct(Call(function), row, coreml, litert)


def resized(row, coreml, litert, shape=lambda x: x, **options):
    return call(row, coreml, litert, lambda x: F.interpolate(shape(x), **options))


CONSTRUCTS = {
    "x + alpha y": call(aten.add.Tensor, WRONG, REFUSED, lambda x: torch.add(x, x.square(), alpha=0.5)),
    "x += alpha y": call(aten.add.Tensor, WRONG, REFUSED, lambda x: x.clone().add_(x.square(), alpha=3)),
    "x - alpha y": call(aten.sub.Tensor, WRONG, REFUSED, lambda x: torch.sub(x, x.square(), alpha=3)),
    "y - alpha x": call(aten.rsub.Tensor, WRONG, REFUSED, lambda x: torch.rsub(x, x.square(), alpha=3)),
    "2 - alpha x": call(aten.rsub.Scalar, REFUSED, REFUSED, lambda x: torch.rsub(x, 2, alpha=3)),
    "rms norm": Construct(
        nn.Sequential(Call(lambda x: x * 1e-3), nn.RMSNorm(6, eps=1e-5)), aten.rms_norm.default, WRONG, RIGHT
    ),
    "1 / x": call(aten.reciprocal.default, WRONG, RIGHT, lambda x: 1 / (x.abs() + 1e-2)),
    "gelu by tanh": Construct(nn.GELU(approximate="tanh"), aten.gelu.default, WRONG, RIGHT),
    "softplus": Construct(nn.Softplus(beta=2, threshold=1), aten.softplus.default, WRONG, RIGHT),
    "atan2": call(aten.atan2.default, WRONG, RIGHT, lambda x: torch.atan2(x.round() + 0.0, x.flip(1).round() - 1)),
    "triu of -inf": call(aten.triu.default, WRONG, RIGHT, masked(lambda mask: mask.triu(1))),
    "tril of -inf": call(aten.tril.default, WRONG, RIGHT, masked(lambda mask: mask.tril(-1))),
    "max pool": call(aten.max_pool2d.default, REFUSED, RIGHT, lambda x: F.max_pool2d(x, 2)),
    "lerp": call(aten.lerp.Scalar, REFUSED, RIGHT, lambda x: torch.lerp(x, x.square(), 0.3)),
    "group norm": Construct(nn.Sequential(Call(volume), nn.GroupNorm(2, 4)), aten.group_norm.default, REFUSED, RIGHT),
    "circular": call(aten.pad.default, REFUSED, RIGHT, lambda x: F.pad(x, (2, 1, 0, 3), mode="circular")),
    "grouped queries": call(aten.scaled_dot_product_attention.default, REFUSED, RIGHT, grouped_attention),
    "nearest": resized(aten.upsample_nearest2d.vec, RIGHT, WRONG, size=(10, 8)),
    "nearest, smaller": resized(aten.upsample_nearest2d.vec, RIGHT, WRONG, size=(3, 2)),
    "nearest by a factor": resized(aten.upsample_nearest2d.vec, WRONG, WRONG, scale_factor=1.6),
    "nearest of a line": resized(aten.upsample_nearest1d.vec, WRONG, RIGHT, line, scale_factor=0.7),
    "bilinear": resized(aten.upsample_bilinear2d.vec, REFUSED, WRONG, scale_factor=1.3, mode="bilinear"),
    "linear of a line": resized(aten.upsample_linear1d.vec, REFUSED, RIGHT, line, scale_factor=0.7, mode="linear"),
    "bicubic": resized(aten.upsample_bicubic2d.vec, GATHERS, GATHERS, size=(9, 4), mode="bicubic"),
    "trilinear": resized(aten.upsample_trilinear3d.vec, GATHERS, RIGHT, volume, size=(3, 3, 9), mode="trilinear"),
    "smooth bilinear": resized(
        aten._upsample_bilinear2d_aa.vec, WRONG, REFUSED, size=(3, 8), mode="bilinear", antialias=True
    ),
    "smooth bicubic": resized(
        aten._upsample_bicubic2d_aa.vec, REFUSED, REFUSED, size=(4, 9), mode="bicubic", antialias=True
    ),
    "fold": call(aten.col2im.default, REFUSED, REFUSED, lambda x: F.fold(x.reshape(2, 16, 9), (4, 4), 2)),
    "transposed": Construct(
        nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1), aten.conv_transpose2d.input, RIGHT, REFUSED
    ),
    "transposed, cropped": Construct(
        nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1), aten.conv_transpose2d.input, RIGHT, REFUSED
    ),
    "transposed, to stride times the size": Construct(
        nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1), aten.conv_transpose2d.input, RIGHT, RIGHT
    ),
    "transposed, open": Construct(
        nn.ConvTranspose2d(4, 3, 2, stride=3, output_padding=1), aten.conv_transpose2d.input, REFUSED, RIGHT
    ),
    "transposed line": Construct(
        nn.Sequential(Call(line), nn.ConvTranspose1d(4, 3, 3, stride=2, padding=1, output_padding=1)),
        aten.conv_transpose1d.default,
        RIGHT,
        REFUSED,
    ),
    "transposed line, open": Construct(
        nn.Sequential(Call(line), nn.ConvTranspose1d(4, 3, 3, stride=2, output_padding=1)),
        aten.conv_transpose1d.default,
        REFUSED,
        RIGHT,
    ),
    "depthwise in 3-D": Construct(
        nn.Sequential(Call(volume), nn.Conv3d(4, 4, 3, padding=1, groups=4)), aten.conv3d.default, RIGHT, REFUSED
    ),
    "sort": call(aten.sort.default, RIGHT, REFUSED, lambda x: torch.sort(x, 1, descending=True)[0]),
    "stable sort": call(aten.sort.stable, REFUSED, REFUSED, lambda x: torch.sort(x.round(), stable=True)[1].float()),
    "argsort": call(aten.argsort.default, RIGHT, REFUSED, lambda x: torch.argsort(x, -1).float()),
    "top k": call(aten.topk.default, RIGHT, REFUSED, lambda x: torch.topk(x, 3, 2)[0]),
    "cumprod": call(aten.cumprod.default, RIGHT, REFUSED, lambda x: torch.cumprod(x, -1)),
    "one hot": call(
        aten.one_hot.default, RIGHT, REFUSED, lambda x: F.one_hot(x.abs().clamp(max=3).long(), 4).float()
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
