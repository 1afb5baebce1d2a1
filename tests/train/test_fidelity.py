"""PSNR and SSIM against their formulas, written out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.data.synthetic import draw_photo
from mobigen.luma import LUMA_SPAN, luma
from mobigen.train.fidelity import luma_of_pixels, psnr, ssim


def picture(seed=0, height=24, width=20):
    return luma_of_pixels(draw_photo(width, height, np.random.default_rng(seed)))


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_luma_is_matlabs(rgb):
    """The documented rows of rgb2ycbcr, for values of 0 to 255."""
    red, green, blue = rgb
    expected = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
    assert luma(*(value / 255 for value in rgb)) * 255 == pytest.approx(expected)
    assert luma_of_pixels(np.array([[rgb]], np.uint8))[0, 0] == pytest.approx(expected)


def test_luma_runs_from_16_to_235():
    assert luma(0, 0, 0) * 255 == pytest.approx(16)
    assert luma(1, 1, 1) * 255 == pytest.approx(235)
    assert pytest.approx(219 / 255) == LUMA_SPAN


@pytest.mark.parametrize("step", [1, 2, 16])
def test_psnr_of_a_constant_error(step):
    truth = picture()
    assert psnr(truth + step, truth, border=2) == pytest.approx(20 * math.log10(255 / step))


def test_psnr_of_equal_pictures_is_infinite():
    assert psnr(picture(), picture(), border=0) == math.inf


@pytest.mark.parametrize("score", [psnr, ssim])
def test_the_border_does_not_count(score):
    truth, other = picture(), picture(1)
    damaged = truth.copy()
    damaged[:3], damaged[-3:], damaged[:, :3], damaged[:, -3:] = 0, 0, 0, 0
    assert score(damaged, other, border=3) == score(truth, other, border=3)
    assert score(damaged, other, border=2) != score(truth, other, border=2)


def written_out(x, y):
    """Wang et al. 2004, equations 13 to 16, window by window."""
    place = np.arange(11) - 5
    weights = np.exp(-(place[:, None] ** 2 + place**2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            a, b = (each[top : top + 11, left : left + 11] for each in (x, y))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            spread_a, spread_b = ((weights * (v - m) ** 2).sum() for v, m in ((a, mean_a), (b, mean_b)))
            together = (weights * (a - mean_a) * (b - mean_b)).sum()
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            values.append(
                (2 * mean_a * mean_b + c1) * (2 * together + c2)
                / ((mean_a**2 + mean_b**2 + c1) * (spread_a + spread_b + c2))
            )  # fmt: skip
    return np.mean(values)


@pytest.mark.parametrize("border", [0, 2])
def test_ssim_is_the_papers(border):
    x, y = picture(), picture(1)
    inside = slice(border, -border or None)
    assert ssim(x, y, border) == pytest.approx(written_out(x[inside, inside], y[inside, inside]), rel=1e-9)


def test_ssim_of_equal_pictures_is_one():
    assert ssim(picture(), picture(), border=2) == pytest.approx(1)
