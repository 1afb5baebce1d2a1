"""Convolutions, pooling, matrix products and attention."""

import math
from itertools import product

import numpy as np

from mil_cases.case import Case, draw, wide


def patches(x, pads, kernel, strides, dilations, count=None, fill=0.0):
    """Yields each place of the kernel, and what all windows hold there: (n, C, windows ...)."""
    padded = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    extents = [(size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True)]
    counts = count or [
        (size - extent) // step + 1 for size, extent, step in zip(padded.shape[2:], extents, strides, strict=True)
    ]
    for place in product(*map(range, kernel)):
        starts = [at * step for at, step in zip(place, dilations, strict=True)]
        window = (slice(s, s + (n - 1) * step + 1, step) for s, n, step in zip(starts, counts, strides, strict=True))
        yield place, padded[(slice(None), slice(None), *window)]


def correlate(x, weight, pads, strides, dilations, groups=1):
    """The definition of a convolution layer, a sum over the places of the kernel."""
    weight = wide(weight)
    size = x.shape[1] // groups
    parts = []
    for group, filters in enumerate(np.split(weight, groups)):
        own = x[:, group * size : (group + 1) * size]
        terms = patches(own, pads, weight.shape[2:], strides, dilations)
        parts.append(sum(np.einsum("nc...,oc->no...", values, filters[(..., *at)]) for at, values in terms))
    return np.concatenate(parts, 1)


def spread(x, weight, strides, dilations, groups=1):
    """The definition of a transposed convolution: every input entry adds its kernel to the output."""
    weight = wide(weight)
    kernel = weight.shape[2:]
    sizes = [
        (size - 1) * stride + (extent - 1) * step + 1
        for size, stride, extent, step in zip(x.shape[2:], strides, kernel, dilations, strict=True)
    ]
    result = np.zeros((len(x), weight.shape[1] * groups, *sizes))
    inputs, outputs = x.shape[1] // groups, weight.shape[1]
    for group, place in product(range(groups), product(*map(range, kernel))):
        starts = [at * step for at, step in zip(place, dilations, strict=True)]
        window = tuple(
            slice(s, s + (size - 1) * stride + 1, stride)
            for s, size, stride in zip(starts, x.shape[2:], strides, strict=True)
        )
        own = slice(group * inputs, (group + 1) * inputs)
        values = np.einsum("nc...,co->no...", x[:, own], weight[(own, slice(None), *place)])
        result[(slice(None), slice(group * outputs, (group + 1) * outputs), *window)] += values
    return result


def pooled(x, pads, kernel, strides, count=None, fill=0.0):
    """(places of the kernel, n, C, windows ...)."""
    ones = [1] * len(kernel)
    return np.stack([values for _, values in patches(x, pads, kernel, strides, ones, count, fill)])


IMAGE, LINE, VOLUME = draw(2, 4, 7, 6), draw(2, 4, 9), draw(1, 2, 4, 5, 6)
DENSE, GROUPED, DEPTHWISE = draw(5, 4, 3, 3, seed=1), draw(6, 2, 3, 2, seed=2), draw(4, 1, 3, 3, seed=3)
BIAS, LINE_WEIGHT, VOLUME_WEIGHT = draw(5, seed=4), draw(3, 4, 4, seed=5), draw(3, 2, 2, 3, 3, seed=6)
UP, UP_GROUPED, UP_VOLUME = draw(4, 3, 4, 4, seed=7), draw(4, 2, 3, 3, seed=8), draw(2, 3, 2, 3, 2, seed=9)
UP_BIAS = draw(3, seed=10)
BELOW_ZERO, ROOM = -np.abs(IMAGE) - np.float32(1), np.ones((1, 1, 7, 6))
MATRIX, WEIGHT, WEIGHT_BIAS = draw(2, 3, 4, seed=11), draw(5, 4, seed=12), draw(5, seed=13)
QUERY, KEY, VALUE = draw(2, 3, 4, 6, seed=14), draw(2, 3, 5, 6, seed=15), draw(2, 3, 5, 2, seed=16)
MASK = draw(2, 1, 4, 5, seed=17)


def conv(name, x, expected, target="iOS15", **attributes):
    return Case(f"conv {name}", {"x": x}, lambda mb, x: mb.conv(x=x, **attributes), expected, target)


def conv_transpose(name, x, expected, **attributes):
    return Case(f"conv_transpose {name}", {"x": x}, lambda mb, x: mb.conv_transpose(x=x, **attributes), expected)


def pool(kind, name, expected, target="iOS15", x=IMAGE, **attributes):
    return Case(f"{kind} {name}", {"x": x}, lambda mb, x: getattr(mb, kind)(x=x, **attributes), expected, target)


def attention(query, key, value, bias):
    scores = np.exp(query @ np.swapaxes(key, -1, -2) / math.sqrt(query.shape[-1]) + bias)
    return scores / scores.sum(-1, keepdims=True) @ value


CONVOLUTIONS = [
    conv("with a bias", IMAGE, lambda x: correlate(x, DENSE, [(0, 0)] * 2, (1, 1), (1, 1)) + wide(BIAS)[:, None, None],
         weight=DENSE, bias=BIAS, pad_type="valid"),
    conv("with uneven padding, strides and dilations", IMAGE,
         lambda x: correlate(x, DENSE, [(1, 2), (3, 0)], (2, 1), (1, 2)),
         weight=DENSE, pad_type="custom", pad=[1, 2, 3, 0], strides=[2, 1], dilations=[1, 2]),
    conv("in groups", IMAGE, lambda x: correlate(x, GROUPED, [(0, 0)] * 2, (1, 2), (1, 1), 2),
         weight=GROUPED, pad_type="valid", strides=[1, 2], groups=2),
    conv("depthwise, same", IMAGE, lambda x: correlate(x, DEPTHWISE, [(1, 1), (0, 1)], (2, 2), (1, 1), 4),
         weight=DEPTHWISE, pad_type="same", strides=[2, 2], groups=4),
    conv("same_lower", IMAGE, lambda x: correlate(x, DENSE, [(1, 1), (1, 0)], (2, 2), (1, 1)), "iOS16",
         weight=DENSE, pad_type="same_lower", strides=[2, 2]),
    conv("of a line", LINE, lambda x: correlate(x, LINE_WEIGHT, [(2, 1)], (1,), (1,)),
         weight=LINE_WEIGHT, pad_type="custom", pad=[2, 1]),
    conv("of a volume", VOLUME, lambda x: correlate(x, VOLUME_WEIGHT, [(1, 0), (1, 1), (1, 1)], (1, 2, 1), (1, 1, 1)),
         weight=VOLUME_WEIGHT, pad_type="custom", pad=[1, 0, 1, 1, 1, 1], strides=[1, 2, 1]),
    conv_transpose("custom", IMAGE,
                   lambda x: spread(x, UP, (2, 2), (1, 1))[:, :, 1:-1, 1:-2] + wide(UP_BIAS)[:, None, None],
                   weight=UP, bias=UP_BIAS, pad_type="custom", pad=[1, 1, 1, 2], strides=[2, 2]),
    conv_transpose("valid, in groups, dilated", IMAGE, lambda x: spread(x, UP_GROUPED, (1, 2), (2, 1), 2),
                   weight=UP_GROUPED, pad_type="valid", strides=[1, 2], dilations=[2, 1], groups=2),
    conv_transpose("same", IMAGE, lambda x: spread(x, UP, (2, 2), (1, 1))[:, :, 1:-1, 1:-1],
                   weight=UP, pad_type="same", strides=[2, 2]),
    conv_transpose("with an output shape", IMAGE,
                   lambda x: np.pad(spread(x, UP, (2, 2), (1, 1)), [(0, 0)] * 3 + [(0, 1)])[:, :, 1:, 1:]
                   + wide(UP_BIAS)[:, None, None],
                   weight=UP, bias=UP_BIAS, pad_type="custom", pad=[1, 0, 1, 0], strides=[2, 2],
                   output_shape=[2, 3, 15, 14]),
    conv_transpose("of a volume", VOLUME, lambda x: spread(x, UP_VOLUME, (1, 2, 2), (1, 1, 1)),
                   weight=UP_VOLUME, pad_type="valid", strides=[1, 2, 2]),
]  # fmt: skip
POOLS = [
    pool("max_pool", "valid", lambda x: pooled(x, [(0, 0)] * 2, (3, 2), (2, 2)).max(0),
         kernel_sizes=[3, 2], strides=[2, 2], pad_type="valid"),
    pool("max_pool", "padded", lambda x: pooled(x, [(1, 0), (0, 1)], (2, 2), (2, 1), fill=-99.0).max(0),
         x=BELOW_ZERO, kernel_sizes=[2, 2], strides=[2, 1], pad_type="custom", pad=[1, 0, 0, 1]),
    pool("max_pool", "with a last window that reaches out",
         lambda x: pooled(x, [(0, 1), (0, 0)], (2, 2), (2, 2), fill=-99.0).max(0),
         x=BELOW_ZERO, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid", ceil_mode=True),
    pool("avg_pool", "same", lambda x: pooled(x, [(1, 1), (0, 1)], (3, 3), (2, 2)).mean(0),
         kernel_sizes=[3, 3], strides=[2, 2], pad_type="same"),
    pool("avg_pool", "without its padding",
         lambda x: pooled(x, [(1, 1), (1, 1)], (3, 3), (2, 2)).sum(0)
         / pooled(ROOM, [(1, 1), (1, 1)], (3, 3), (2, 2)).sum(0),
         kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1], exclude_padding_from_average=True),
    pool("avg_pool", "with a last window that reaches out",
         lambda x: pooled(x, [(1, 2), (1, 2)], (3, 2), (3, 3)).sum(0)
         / pooled(np.ones((1, 1, 9, 8)), [(0, 1), (0, 1)], (3, 2), (3, 3)).sum(0),
         kernel_sizes=[3, 2], strides=[3, 3], pad_type="custom", pad=[1, 1, 1, 1], ceil_mode=True),
    pool("avg_pool", "of a line", lambda x: pooled(x, [(0, 0)], (3,), (1,)).mean(0),
         x=LINE, kernel_sizes=[3], pad_type="valid"),
    pool("l2_pool", "valid", lambda x: np.sqrt((pooled(x, [(0, 0)] * 2, (2, 3), (1, 2)) ** 2).sum(0)),
         kernel_sizes=[2, 3], strides=[1, 2], pad_type="valid"),
]  # fmt: skip
PRODUCTS = [
    Case("linear", {"x": MATRIX}, lambda mb, x: mb.linear(x=x, weight=WEIGHT, bias=WEIGHT_BIAS),
         lambda x: np.einsum("bik,jk->bij", x, wide(WEIGHT)) + wide(WEIGHT_BIAS)),
    Case("matmul", {"x": QUERY, "y": KEY}, lambda mb, x, y: mb.matmul(x=x, y=y, transpose_y=True),
         lambda x, y: np.einsum("abik,abjk->abij", x, y)),
    Case("matmul, broadcast", {"x": draw(3, 4, 5), "y": draw(2, 3, 4, 6)},
         lambda mb, x, y: mb.matmul(x=x, y=y, transpose_x=True), lambda x, y: np.einsum("bki,abkj->abij", x, y)),
    Case("einsum", {"x": draw(2, 3, 4, 5), "y": draw(2, 5, 1, 6)},
         lambda mb, x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
         lambda x, y: (x[..., None] * y.transpose(0, 2, 1, 3)[:, None]).sum(3)),
    Case("scaled_dot_product_attention", {"query": QUERY, "key": KEY, "value": VALUE, "attn_mask": MASK},
         lambda mb, **inputs: mb.scaled_dot_product_attention(**inputs),
         lambda query, key, value, attn_mask: attention(query, key, value, attn_mask), "iOS18"),
    Case("scaled_dot_product_attention where a mask is true",
         {"query": QUERY, "key": KEY, "value": VALUE, "mask": MASK - MASK.min(-1, keepdims=True)},
         lambda mb, mask, **inputs: mb.scaled_dot_product_attention(attn_mask=mb.less(x=mask, y=1.5), **inputs),
         lambda query, key, value, mask: attention(query, key, value, np.where(mask < 1.5, 0, -np.inf)), "iOS18"),
]  # fmt: skip
CASES = CONVOLUTIONS + POOLS + PRODUCTS
