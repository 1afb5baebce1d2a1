"""Plans of layers: what is fused behind them, which of them share a grid, and where a signature states the range."""

import math

import pytest
import torch
import torch.nn.functional as F
from tiny_networks import tiny
from tiny_upscaler import tiny_upscaler
from torch import nn

from mobigen.errors import ConfigError
from mobigen.models.autoencoder import Decoder, Encoder
from mobigen.models.denoiser import Denoiser
from mobigen.models.network import Network
from mobigen.nn.conv import DepthwiseConv3x3
from mobigen.quantization.layers import LayerPlan, kind_of, plan_layers
from mobigen.signature import Signature, TensorSpec

RELU = (0.0, math.inf)
NONE = LayerPlan(None, None, None, None)


def plans(network):
    return plan_layers(network, [name for name, module in network.named_modules() if kind_of(module) == "conv"])


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.Conv2d(4, 8, 3), "conv"),
        (nn.Conv2d(1, 8, 3), "conv"),
        (nn.Conv2d(4, 8, 3, groups=2), "conv"),
        (nn.Conv2d(4, 8, 3, groups=4), "depthwise"),
        (DepthwiseConv3x3(4), "depthwise"),
        (nn.Linear(2, 3), "linear"),
        (nn.ReLU(), None),
        (nn.ConvTranspose2d(2, 3, 2), None),
    ],
)
def test_kinds_of_layers(layer, kind):
    assert kind_of(layer) == kind


def test_the_plan_of_an_upscaler():
    assert plans(tiny_upscaler()) == {
        "left": LayerPlan(RELU, None, (0.0, 1.0), None),
        "right": LayerPlan(RELU, None, (0.0, 1.0), None),
        "mix": LayerPlan((0.0, 6.0), None, None, None),  # a concatenation has a range of its own
        "body": LayerPlan(RELU, "mix", None, None),
        "head": NONE,  # between two sums
    }


def test_the_plan_of_a_decoder():
    """A pixel shuffle lies between `ups` and what reads them, and between `head.0` and its ReLU."""
    found = plans(tiny(Decoder))
    assert found["entry"] == NONE
    assert found["levels.0.0.first"] == LayerPlan(RELU, "entry", None, None)
    assert found["levels.0.0.second"] == LayerPlan(None, "levels.0.0.first", None, None)
    assert found["ups.0.conv"] == NONE
    assert found["levels.1.0.first"] == LayerPlan(RELU, "ups.0.conv", None, None)
    assert found["head.0.conv"] == LayerPlan(RELU, None, None, None)
    assert found["head.2.conv"] == LayerPlan(None, "head.0.conv", None, None)


class Chain(Network):
    """Whatever `body` makes of two layers and a picture of [-1, 1]."""

    component = "chain"

    def __init__(self, body):
        super().__init__()
        self.body, self.a, self.b = body, nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, image):
        return self.body(self, image)

    def signature(self):
        specs = (TensorSpec(name, (1, 3, 4, 4), low=-1.0, high=1.0) for name in ("image", "result"))
        return Signature("chain", (next(specs),), (next(specs),))

    def example_inputs(self, generator):
        return {"image": torch.rand(1, 3, 4, 4, generator=generator)}


EDGE = (-1.0, 1.0)
CHAINS = {
    "clamped result": (lambda n, x: n.b(n.a(x)).clamp(-1, 1), [(None, None, EDGE, None), (EDGE, "a", None, EDGE)]),
    "open clamp": (
        lambda n, x: n.b(n.a(x).clamp(min=-2)),
        [((-2.0, math.inf), None, EDGE, None), (None, "a", None, EDGE)],
    ),
    "hardtanh": (lambda n, x: n.b(F.hardtanh(n.a(x))), [(EDGE, None, EDGE, None), (None, "a", None, EDGE)]),
    "relu read beside": (
        lambda n, x: (lambda y: n.b(F.relu(y)) + y)(n.a(x)),  # not fused: the sum wants it unclamped
        [(None, None, EDGE, None), (None, "a", None, None)],
    ),
    "relu6 read beside": (  # 6 need not be on the grid
        lambda n, x: (lambda y: n.b(F.relu6(y)) + y)(n.a(x)),
        [(None, None, EDGE, None), (None, None, None, None)],
    ),
    "clamped input": (lambda n, x: n.b(n.a(x.clamp(0, 1))), [(None, None, None, None), (None, "a", None, EDGE)]),
    "moved": (
        lambda n, x: n.b(n.a(x.flip(0)).permute(0, 1, 3, 2).reshape(1, 3, 4, 4)[:, :, ::2].contiguous()),
        [(None, None, None, None), (None, "a", None, EDGE)],
    ),
    "scaled between": (lambda n, x: n.b(2 * n.a(x)), [(None, None, EDGE, None), (None, None, None, EDGE)]),
    "called twice": (lambda n, x: n.b(n.a(F.relu(n.a(x)))), [(None, None, None, None), (None, "a", None, EDGE)]),
    "never called": (lambda n, x: n.b(x), [None, (None, None, EDGE, EDGE)]),
}


@pytest.mark.parametrize("name", CHAINS)
def test_neighbours(name):
    body, expected = CHAINS[name]
    found = plans(Chain(body))
    assert [found.get(layer) for layer in "ab"] == expected


def test_layers_of_other_kinds_have_plans_too():
    denoiser = tiny(Denoiser)
    names = {name for name, module in denoiser.named_modules() if kind_of(module) in ("linear", "depthwise")}
    assert set(plan_layers(denoiser, names)) == names
    assert len(names) > 5


def test_a_batch_norm_has_to_be_folded_first():
    with pytest.raises(ConfigError, match=r"encoder: a batch norm follows trunk\.\d+; fuse the network"):
        plans(tiny(Encoder))


def test_what_cannot_be_traced_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="chain cannot be traced") as caught:
        plans(Chain(lambda n, x: n.a(x) if x.sum() > 0 else n.b(x)))
    assert "\n" not in str(caught.value)
