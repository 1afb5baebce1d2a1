"""Every rule is broken by one construct and not by its neighbour."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from one_construct import construct  # noqa: E402
from torch import nn  # noqa: E402

from mobigen.export.doctor.graph import read_graph  # noqa: E402
from mobigen.export.doctor.magnitudes import measure_magnitudes  # noqa: E402
from mobigen.export.doctor.rules import RULES, TARGETS, Effect  # noqa: E402
from mobigen.export.program import capture  # noqa: E402

IMAGE, MAP, TOKENS, HEADS, VOLUME = (1, 8, 16, 16), (1, 4, 32, 32), (1, 24, 32), (1, 2, 24, 16), (1, 4, 4, 8, 8)
IDS = torch.arange(24, dtype=torch.int32)[None]
INDEX = torch.tensor([3, 1, 2])


@torch.library.custom_op("mobigen_test::twice", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@twice.register_fake
def _(x):
    return torch.empty_like(x)


def call(module, *inputs):
    return module(*inputs)


def layer(module, *inputs):
    return construct(call, *inputs, modules=[module])


def resized(mode, size):
    return construct(lambda x: F.interpolate(x, size=size, mode=mode), IMAGE)


def padded(mode, width=1):
    return construct(lambda x: F.pad(x, (width,) * 4, mode=mode), IMAGE)


def attended(query=HEADS, **options):
    return construct(lambda q, k: F.scaled_dot_product_attention(q, k, k, **options), query, HEADS)


def masked(value):
    return construct(lambda x: (x + torch.full((24, 24), value).triu(1)).softmax(-1), (1, 24, 24))


CASES = {  # rule -> networks that break it, networks that do not
    "unknown-size": (
        [construct(lambda x: x.masked_select(x > 0).sum() + x, TOKENS)],
        [construct(lambda x: x.sum() + x, TOKENS)],
    ),
    "rank-above-5": (
        [construct(lambda x: x.reshape(1, 8, 8, 2, 8, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 32, 8, 8), IMAGE)],
        [construct(lambda x: x.reshape(1, 2, 4, 16, 16).transpose(1, 2).reshape(IMAGE), IMAGE)],
    ),
    "complex": (
        [construct(lambda x: torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (16, 2))) * 1j), TOKENS)],
        [construct(lambda x: torch.cat([x.sin(), x.cos()], -1), TOKENS)],
    ),
    "control-flow": (
        [construct(lambda x: torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,)), TOKENS)],
        [construct(lambda x: torch.where(x.sum() > 0, x + 1, x - 1), TOKENS)],
    ),
    "custom": ([construct(lambda x: twice(x), TOKENS)], [construct(lambda x: x * 2, TOKENS)]),
    "litert-lacks": ([construct(torch.exp2, TOKENS)], [construct(torch.exp, TOKENS)]),
    "lookup": (
        [layer(nn.Embedding(50, 16), IDS), construct(lambda x: x.index_select(1, INDEX), TOKENS)],
        [layer(nn.Linear(32, 16), TOKENS), construct(lambda x: x[:, 2:5], TOKENS)],
    ),
    "integers": ([construct(lambda x: (x != 0).float(), IDS)], [layer(nn.Embedding(50, 16), IDS)]),
    "recurrent": (
        [construct(lambda cell, x: cell(x)[0], TOKENS, modules=[nn.GRU(32, 16)])],
        [layer(nn.Conv1d(24, 8, 3), TOKENS)],
    ),
    "grid-sample": (
        [construct(lambda x, grid: F.grid_sample(x, grid, align_corners=False), IMAGE, (1, 8, 8, 2))],
        [resized("bilinear", (32, 32))],
    ),
    "volume": ([layer(nn.Conv3d(4, 8, 3), VOLUME)], [layer(nn.Conv2d(8, 8, 3), IMAGE)]),
    "product": ([construct(lambda x: x.prod(1), TOKENS)], [construct(lambda x: x.sum(1), TOKENS)]),
    "kernel": ([layer(nn.Conv2d(8, 8, (1, 14)), IMAGE)], [layer(nn.Conv2d(8, 8, 13), IMAGE)]),
    "extent": (
        [construct(lambda x: x * 2, (1, 16385)), construct(lambda x: x * 2, (1, 65537, 1, 1))],
        [construct(lambda x: x * 2, (1, 65536, 1, 1))],
    ),
    "gpu-rank": (
        [construct(torch.relu, VOLUME), layer(nn.ChannelShuffle(2), IMAGE)],
        [construct(torch.relu, IMAGE), layer(nn.PixelShuffle(2), IMAGE)],
    ),
    "gpu-lacks": (
        [construct(lambda x: x.argmax(-1).int(), TOKENS), construct(torch.round, TOKENS)],
        [construct(lambda x: x.amax(-1), TOKENS), construct(torch.floor, TOKENS)],
    ),
    "gpu-lookup": (
        [
            construct(lambda x: x[:, INDEX], TOKENS), padded("replicate", 2), resized("nearest", (24, 24)),
            construct(lambda x: F.adaptive_avg_pool2d(x, 3), IMAGE),
        ],
        [
            construct(lambda x: x[:, 2:5], TOKENS), padded("replicate", 1), resized("nearest", (32, 32)),
            resized("nearest", (8, 4)),
            construct(lambda x: F.adaptive_avg_pool2d(x, 4), IMAGE),
        ],
    ),
    "gpu-broadcast": (
        [
            layer(nn.GroupNorm(2, 8), IMAGE), construct(lambda x: torch.cat([x[:, :1].expand(x.shape), x]), TOKENS),
            attended((1, 4, 24, 16), enable_gqa=True), construct(lambda x: x.repeat(1, 2, 1), TOKENS),
        ],
        [layer(nn.LayerNorm(32), TOKENS), construct(lambda x: x[:, :1].expand(x.shape) + x, TOKENS), attended()],
    ),
    "gpu-clamp": (
        [construct(lambda x: x.clamp(0, 1), TOKENS), layer(nn.Hardtanh(0, 1), TOKENS)],
        [construct(lambda x: x.clamp(-1, 1), TOKENS), layer(nn.Hardtanh(), TOKENS)],
    ),
    "gpu-outer": (
        [construct(lambda x, y: x * y, (1, 8, 1), (1, 1, 8))],
        [construct(lambda x, y: x * y, (1, 8, 8), (1, 1, 8)), construct(lambda x, y: x + y, (1, 8, 1), (1, 1, 8))],
    ),
    "gpu-replicate": ([padded("replicate")], [padded("reflect")]),
    "gpu-select": (
        [construct(lambda x: torch.where(x > 0, x, x[:, :, :1]), TOKENS)],
        [construct(lambda x: torch.where(x > 0, x, x * 2), TOKENS)],
    ),
    "cpu-lookup": ([layer(nn.Embedding(50, 16), IDS)], [layer(nn.Linear(32, 16), TOKENS)]),
    "cpu-compare": (
        [
            construct(lambda x: (x > 0).float(), TOKENS), construct(lambda x: x + 1, IDS), layer(nn.ELU(), TOKENS),
            attended(is_causal=True),
        ],
        [construct(torch.relu, TOKENS), layer(nn.Embedding(50, 16), IDS), layer(nn.GELU(), TOKENS), attended()],
    ),
    "cpu-broadcast": (
        [construct(lambda x: x.tile(1, 2, 1), TOKENS), resized("nearest-exact", (32, 32))],
        [construct(lambda x: torch.cat([x, x], 1), TOKENS)],
    ),
    "cpu-product": (
        [construct(lambda x, y: x @ y.transpose(1, 2), TOKENS, TOKENS), construct(lambda x: x @ x.mT, (1, 1, 8, 4))],
        [
            construct(lambda x, y: torch.einsum("bnc,bmc->bnm", x, y), TOKENS, TOKENS),
            construct(lambda x, y: x @ y.transpose(-1, -2), HEADS, HEADS),
            construct(lambda x, y: x @ y, TOKENS, (1, 32, 8)),
        ],
    ),
    "cpu-volume": (
        [layer(nn.MaxPool3d(2), VOLUME), layer(nn.Conv3d(4, 8, 3), VOLUME)],
        [layer(nn.MaxPool2d(2), IMAGE), layer(nn.Conv3d(4, 8, 3, groups=4), VOLUME)],
    ),
    "cpu-plain": (
        [
            construct(lambda x: x.cumsum(1), TOKENS), construct(lambda x: x[:, ::2], TOKENS), padded("reflect"),
            construct(lambda x: torch.cat([x] * 6), TOKENS), resized("nearest", (32, 32)),
        ],
        [
            construct(lambda x: x.sum(1), TOKENS), construct(lambda x: x[:, :12], TOKENS), padded("constant"),
            construct(lambda x: torch.cat([x] * 5), TOKENS), resized("bilinear", (32, 32)),
        ],
    ),
    "infinite": ([masked(-torch.inf)], [masked(-1e4)]),
    "float16-range": (
        [construct(lambda x: x * 1e6, TOKENS)],
        [construct(lambda x: x * 1e4, TOKENS), masked(-torch.inf)],
    ),
    "long-sum": (
        [construct(lambda x: x.sum(-1), (1, 2049)), construct(lambda x: x.cumsum(-1), (1, 2049))],
        [construct(lambda x: x.sum(-1), (1, 2048)), construct(lambda x: x.mean(-1), (1, 2049))],
    ),
    "layer-norm": ([layer(nn.LayerNorm(32), TOKENS)], [layer(nn.GroupNorm(2, 8), IMAGE)]),
    "odd-channels": (
        [layer(nn.Conv2d(8, 12, 3), IMAGE)],
        [
            layer(nn.Conv2d(8, 16, 3), IMAGE), layer(nn.Conv2d(8, 12, 1), IMAGE),
            layer(nn.Conv2d(8, 4, 3, groups=4), IMAGE),
        ],
    ),
    "last-axis": (
        [
            construct(lambda x: x.transpose(2, 3), MAP), construct(lambda x: x.permute(0, 2, 3, 1), MAP),
            construct(lambda x: x.flatten(2), MAP), construct(lambda x: x.movedim(1, 3), MAP),
        ],
        [
            construct(lambda x: x.transpose(1, 2), MAP), construct(lambda x: x.flatten(1, 2), MAP),
            construct(lambda x: x.movedim(1, 2), MAP), construct(lambda x: x.transpose(1, 2), TOKENS),
        ],
    ),
    "linear": ([layer(nn.Linear(32, 16), TOKENS)], [layer(nn.Linear(32, 16), (1, 32))]),
    "stride": ([layer(nn.Conv2d(8, 8, 4, stride=4), IMAGE)], [layer(nn.Conv2d(8, 8, 4, stride=2), IMAGE)]),
    "on-chip": ([construct(torch.relu, (1, 5, 512, 512))], [construct(torch.relu, (1, 4, 512, 512))]),
    "narrow": (
        [construct(lambda x: x.mean(-1, keepdim=True), (1, 256, 64))],
        [construct(lambda x: x.mean(1, keepdim=True), (1, 256, 64)), construct(lambda x: x.mean(-1, True), (1, 8, 64))],
    ),
}  # fmt: skip
RULE = {rule.key: rule for rule in RULES}


def is_broken(rule, network):
    program = capture(network)
    return any(map(rule.breaks, read_graph(program, measure_magnitudes(program)).ops))


def test_every_rule_has_a_key_of_its_own_and_cases():
    assert len(RULE) == len(RULES)
    assert set(CASES) == set(RULE)


@pytest.mark.filterwarnings("ignore:The tensor attributes")  # of torch, about its own recurrent cells
@pytest.mark.parametrize("key", RULE)
def test_a_rule_is_broken_by_its_construct_and_not_by_its_neighbour(key):
    broken, kept = CASES[key]
    assert [is_broken(RULE[key], network) for network in broken] == [True] * len(broken)
    assert [is_broken(RULE[key], network) for network in kept] == [False] * len(kept)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_a_rule_speaks_of_accelerators_and_says_what_to_do(rule):
    assert rule.targets
    assert set(rule.targets) <= set(TARGETS)
    assert isinstance(rule.effect, Effect)
    for text in (rule.why, rule.change):
        assert 20 < len(text) < 130
        assert not text.endswith(".")
