"""A cure computes what its operation computes: in double precision, on shapes and arguments of all kinds."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from mobigen.errors import ExportError  # noqa: E402
from mobigen.export.decompositions import arithmetic, convolution, order, resize  # noqa: E402

SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**31)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def by_torch(old, new, mode, **options):
    """The matrix of a resizing: what torch makes of every unit vector."""
    maps = torch.eye(old, dtype=torch.float64).reshape(1, old, old, 1).repeat(1, 1, 1, 2)
    columns = F.interpolate(maps, (new, 2), mode=mode, **options)
    return columns[0, :, :, 0].T.numpy()


@given(SIZES, SIZES, st.booleans())
def test_rows_are_those_of_torch(old, new, align_corners):
    linear, cubic = resize.linear_rows(old, new, align_corners), resize.cubic_rows(old, new, align_corners)
    np.testing.assert_allclose(linear, by_torch(old, new, "bilinear", align_corners=align_corners), atol=1e-12)
    np.testing.assert_allclose(cubic, by_torch(old, new, "bicubic", align_corners=align_corners), atol=1e-12)


@given(SIZES, SIZES)
def test_antialiased_rows_are_those_of_torch(old, new):
    linear, cubic = resize.smooth_linear_rows(old, new, False), resize.smooth_cubic_rows(old, new, False)
    np.testing.assert_allclose(linear, by_torch(old, new, "bilinear", antialias=True), atol=1e-12)
    np.testing.assert_allclose(cubic, by_torch(old, new, "bicubic", antialias=True), atol=1e-12)


@given(SIZES, st.floats(0.3, 3.0))
def test_a_factor_decides_the_place_of_samples(old, factor):
    assume(int(old * factor) >= 1)
    x = drawn(1, 2, old, 4)
    factors = (factor, 1.5)
    for mode, rows in (("bilinear", resize.linear_rows), ("bicubic", resize.cubic_rows)):
        same(resize.by_matrices(rows)(x, None, False, factors), F.interpolate(x, scale_factor=factors, mode=mode))
    same(resize.by_index(x, None, factors), F.interpolate(x, scale_factor=factors))
    line = x[..., 0]
    same(resize.by_index(line, None, (factor,)), F.interpolate(line, scale_factor=factor))
    linear = resize.by_matrices(resize.linear_rows)
    same(linear(line, None, False, (factor,)), F.interpolate(line, scale_factor=factor, mode="linear"))


@given(SIZES, SIZES, SIZES, SIZES)
def test_maps_and_volumes_are_resized_axis_by_axis(height, width, rows, columns):
    x = drawn(2, 3, height, width)
    linear = resize.by_matrices(resize.linear_rows)
    same(linear(x, (rows, columns), False), F.interpolate(x, (rows, columns), mode="bilinear"))
    same(resize.by_index(x, (rows, columns)), F.interpolate(x, (rows, columns), mode="nearest"))
    volume = drawn(2, 1, rows, height, width)
    sizes = (columns, rows, height)
    same(linear(volume, sizes, False), F.interpolate(volume, sizes, mode="trilinear"))


@given(SIZES, SIZES)
def test_only_even_repetitions_need_no_cure(old, new):
    x = torch.zeros(1, 1, old, old)
    assert resize.is_uneven(x, (new, new)) == bool(new % old)


@given(SEEDS, st.booleans(), st.sampled_from([None, 1e-6, 0.1]))
def test_rms_norm(seed, weighted, eps):
    x, weight = drawn(2, 3, 5, seed=seed), drawn(5, seed=seed + 1) if weighted else None
    same(arithmetic.rms_norm(x, (5,), weight, eps), F.rms_norm(x, (5,), weight, eps))
    same(arithmetic.rms_norm(x, (3, 5), None, eps), F.rms_norm(x, (3, 5), None, eps))


@given(SEEDS)
def test_smooth_functions(seed):
    x, y = drawn(4, 5, seed=seed) * 3, drawn(4, 5, seed=seed + 1)
    same(arithmetic.gelu(x, approximate="tanh"), F.gelu(x, approximate="tanh"))
    same(arithmetic.softplus(x, 2.0, 1.0), F.softplus(x, 2.0, 1.0))
    same(arithmetic.reciprocal(x), 1 / x)
    same(arithmetic.lerp(x, y, 0.3), torch.lerp(x, y, 0.3))
    same(arithmetic.add(x, y, alpha=0.5), torch.add(x, y, alpha=0.5))
    same(arithmetic.subtract(x, y, alpha=3), torch.sub(x, y, alpha=3))
    same(arithmetic.subtract_from(x, y, alpha=3), torch.rsub(x, y, alpha=3))


def test_atan2_knows_every_quadrant_and_axis():
    values = torch.tensor([-2.0, -1.0, 0.0, 0.5, 3.0], dtype=torch.float64)
    y, x = torch.meshgrid(values, values, indexing="ij")
    same(arithmetic.atan2(y, x), torch.atan2(y, x))


@given(SIZES, SIZES, st.integers(-3, 3))
def test_triangles(rows, columns, diagonal):
    x = torch.full((2, rows, columns), float("-inf"))
    assert torch.equal(arithmetic.triu(x, diagonal), x.triu(diagonal))
    assert torch.equal(arithmetic.tril(x, diagonal), x.tril(diagonal))


@given(st.lists(st.integers(0, 4), min_size=4, max_size=4), SEEDS)
def test_circular_padding(pad, seed):
    x = drawn(2, 3, 4, 5, seed=seed)
    same(arithmetic.pad_circular(x, pad, "circular"), F.pad(x, pad, mode="circular"))


def test_group_norm_and_grouped_queries():
    x, weight, bias = drawn(2, 4, 2, 3, 5), drawn(4, seed=1), drawn(4, seed=2)
    same(arithmetic.group_norm(x, 2, weight, bias, 1e-3), F.group_norm(x, 2, weight, bias, 1e-3))
    query, key, value = drawn(2, 6, 5, 4), drawn(2, 2, 7, 4, seed=1), drawn(2, 2, 7, 4, seed=2)
    mask = drawn(5, 7, seed=3)
    expected = F.scaled_dot_product_attention(query, key, value, mask, enable_gqa=True, scale=0.3)
    same(arithmetic.attention(query, key, value, mask, enable_gqa=True, scale=0.3), expected)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.integers(0, 2), st.integers(1, 2), st.booleans())
def test_transposed_convolutions(kernel, stride, padding, extra, dilation, biased):
    extra = min(extra, max(stride, dilation) - 1)
    padding = min(padding, dilation * (kernel - 1) // 2)
    x, weight, bias = drawn(2, 4, 5, 6), drawn(4, 3, kernel, kernel + 1, seed=1), drawn(6, seed=2) if biased else None
    arguments = (bias, [stride, stride], [padding, 0], [extra, extra], 2, [dilation, dilation])
    same(convolution.transposed(x, weight, *arguments), F.conv_transpose2d(x, weight, *arguments))
    line = (bias, [stride], [padding], [extra], 2, [dilation])
    expected = F.conv_transpose1d(x[:, :, 0], weight[:, :, :, 0], *line)
    same(convolution.transposed(x[:, :, 0], weight[:, :, :, 0], *line), expected)


@given(st.integers(1, 2), st.integers(0, 1), st.integers(1, 2), st.integers(1, 3), st.sampled_from([1, 2, 4]))
def test_convolutions_of_volumes(stride, padding, dilation, kernel, groups):
    x, weight, bias = drawn(2, 4, 5, 6, 7), drawn(8, 4 // groups, kernel, 2, 3, seed=1), drawn(8, seed=2)
    arguments = (bias, [stride, 1, 2], [padding, 0, 1], [dilation, 1, 1], groups)
    same(convolution.volume(x, weight, *arguments), F.conv3d(x, weight, *arguments))


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2))
def test_fold(kernel, stride, padding, dilation):
    options = {"dilation": [dilation] * 2, "padding": [padding] * 2, "stride": [stride] * 2}
    patches = F.unfold(drawn(2, 3, 8, 7), kernel, **options)
    same(convolution.fold(patches, [8, 7], [kernel] * 2, **options), F.fold(patches, (8, 7), kernel, **options))


@given(SEEDS, st.sampled_from([0, 1, 2, -1]), st.booleans())
def test_order(seed, axis, descending):
    x = drawn(3, 4, 5, seed=seed).round()  # with ties
    for found, expected in zip(
        order.stable_sort(x, stable=True, dim=axis, descending=descending),
        torch.sort(x, stable=True, dim=axis, descending=descending),
        strict=True,
    ):
        assert torch.equal(found, expected)
    distinct = drawn(3, 4, 5, seed=seed)
    assert torch.equal(order.argsort(distinct, axis, descending), torch.argsort(distinct, axis, descending))
    values, index = order.topk(distinct, 2, axis, largest=descending)
    expected = torch.topk(distinct, 2, axis, largest=descending)
    assert torch.equal(values, expected.values)
    assert torch.equal(index, expected.indices)


def test_infinities_are_sorted_like_other_values():
    x = torch.tensor([[1.0, float("inf"), -float("inf"), 0.0]])
    assert torch.equal(order.sort(x)[0], torch.sort(x)[0])


def test_too_many_values_are_refused():
    with pytest.raises(ExportError, match="1 x 5000 values are too many to sort"):
        order.sort(torch.zeros(1, 5000))


@given(st.integers(1, 9), SEEDS)
def test_running_products_and_one_hot(size, seed):
    x = drawn(2, size, 3, seed=seed)
    same(order.cumprod(x, 1), torch.cumprod(x, 1))
    classes = torch.randint(0, 7, (2, size), generator=torch.Generator().manual_seed(seed))
    assert torch.equal(order.one_hot(classes, 7), F.one_hot(classes, 7))
