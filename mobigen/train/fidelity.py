"""PSNR and SSIM as the tables of super-resolution have them: on luma, a border as wide as the scale cut off."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mobigen.luma import luma

__all__ = ["luma_of_pixels", "psnr", "ssim"]

PEAK = 255.0
WINDOW, SIGMA = 11, 1.5  # of SSIM's Gaussian
STABLE = ((0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2)  # C1 and C2


def luma_of_pixels(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """RGB (H, W, 3) -> luma (H, W) from 16 to 235, not rounded."""
    red, green, blue = (rgb[..., channel] / PEAK for channel in range(3))
    return np.asarray(luma(red, green, blue) * PEAK, np.float64)


def psnr(picture: NDArray[np.float64], truth: NDArray[np.float64], border: int) -> float:
    """10 log10(255^2 / mean squared error) of two maps (H, W) of 0..255, without `border` pixels all round."""
    error = np.square(_inside(picture, border) - _inside(truth, border)).mean()
    return float(10 * np.log10(PEAK**2 / error)) if error else float("inf")


def ssim(picture: NDArray[np.float64], truth: NDArray[np.float64], border: int) -> float:
    """Wang et al. 2004 (IEEE Trans. IP 13(4)), equation 13: an 11x11 Gaussian of deviation 1.5, whole windows only."""
    x, y = _inside(picture, border), _inside(truth, border)
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x, variance_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + STABLE[0]) * (2 * covariance + STABLE[1])
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + STABLE[0]) * (variance_x + variance_y + STABLE[1]))))


def _inside(values: NDArray[np.float64], border: int) -> NDArray[np.float64]:
    return values[border : values.shape[0] - border, border : values.shape[1] - border].astype(np.float64)


def _blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means over every window that lies inside."""
    steps = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(steps**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    return _inside(cv2.sepFilter2D(values, cv2.CV_64F, weights, weights), WINDOW // 2)
