"""Resizing and resampling of images."""

import numpy as np

from mil_cases.case import Case, draw

IMAGE = draw(1, 2, 4, 5)
GRID = draw(1, 3, 6, 2, seed=1, low=-1.7, high=1.7)


def interpolated(x, rows, columns):
    """Linear between neighbours, at the given places of rows and columns."""
    x = np.apply_along_axis(lambda line: np.interp(rows, np.arange(len(line)), line), 2, x)
    return np.apply_along_axis(lambda line: np.interp(columns, np.arange(len(line)), line), 3, x)


def strict(size, count):
    return np.linspace(0, size - 1, count)


def half_pixel(size, count):
    return (np.arange(count) + 0.5) * size / count - 0.5


def default(size, count):
    return np.arange(count) * size / count


def offset(size, count):
    return (np.arange(count) + 0.5) * (size - 1) / count


def bilinear(mode, points):
    return Case(
        f"resize_bilinear, {mode}",
        {"x": IMAGE},
        lambda mb, x: mb.resize_bilinear(x=x, target_size_height=7, target_size_width=3, sampling_mode=mode),
        lambda x: interpolated(x, points(4, 7), points(5, 3)),
    )


def triangle(place, low, high):
    """The place after bouncing between two mirrors."""
    while not low <= place <= high:
        place = 2 * low - place if place < low else 2 * high - place
    return place


INSIDE = {
    "constant": lambda place, size: place,
    "border": lambda place, size: min(max(place, 0), size - 1),
    "reflection": lambda place, size: triangle(place, 0, size - 1),
    "symmetric": lambda place, size: min(max(triangle(place, -0.5, size - 0.5), 0), size - 1),
}


def sampled(x, grid, padding, mode, in_pixels, outside=0.0):
    """Pixel after pixel: the weights of the four neighbours, by their distances."""
    height, width = x.shape[2:]
    padded = np.pad(x, [(0, 0), (0, 0), (9, 9), (9, 9)], constant_values=outside)
    result = np.zeros((*x.shape[:2], *grid.shape[1:3]))
    for b, i, j in np.ndindex(grid.shape[:3]):
        column, row = (
            INSIDE[padding](in_pixels(value, size), size)
            for value, size in zip(grid[b, i, j], (width, height), strict=True)
        )
        if mode == "nearest":
            result[b, :, i, j] = padded[b, :, round(row) + 9, round(column) + 9]
            continue
        top, left = int(np.floor(row)), int(np.floor(column))
        for r, c in np.ndindex(2, 2):
            share = abs(1 - r - (row - top)) * abs(1 - c - (column - left))
            result[b, :, i, j] += share * padded[b, :, top + r + 9, left + c + 9]
    return result


def resample(padding, mode, coordinates, align, in_pixels, grid=GRID, outside=0.0):
    return Case(
        f"resample, {padding}, {mode}, {coordinates}",
        {"x": IMAGE, "coordinates": grid},
        lambda mb, x, **inputs: mb.resample(
            x=x,
            sampling_mode=mode,
            padding_mode=padding,
            padding_value=outside,
            coordinates_mode=coordinates,
            align_corners=align,
            **inputs,
        ),
        lambda x, coordinates: sampled(x, coordinates, padding, mode, in_pixels, outside),
    )


def from_edges(value, size):
    return (value + 1) / 2 * size - 0.5


def from_centres(value, size):
    return (value + 1) / 2 * (size - 1)


CASES = [
    Case("upsample_nearest_neighbor", {"x": IMAGE},
         lambda mb, x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3),
         lambda x: x.repeat(2, 2).repeat(3, 3)),
    Case("upsample_nearest_neighbor by a fraction", {"x": IMAGE},
         lambda mb, x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=1.5, scale_factor_width=1.4),
         lambda x: x[:, :, [0, 0, 1, 2, 2, 3]][:, :, :, [0, 0, 1, 2, 2, 3, 4]]),
    Case("resize_nearest_neighbor", {"x": IMAGE},
         lambda mb, x: mb.resize_nearest_neighbor(x=x, target_size_height=6, target_size_width=2),
         lambda x: x[:, :, [0, 1, 1, 2, 3, 3]][:, :, :, [1, 3]]),
    Case("resize to the nearest", {"x": IMAGE},
         lambda mb, x: mb.resize(x=x, shape=[0, 3], resized_dims=np.uint32(2), interpolation_mode="NEAREST_NEIGHBOR"),
         lambda x: x[:, :, :, [0, 2, 4]], "iOS17"),
    Case("resize", {"x": IMAGE},
         lambda mb, x: mb.resize(x=x, shape=[9, 8, 10], resized_dims=np.uint32(2), sampling_mode="UNALIGN_CORNERS"),
         lambda x: interpolated(x, half_pixel(4, 8), half_pixel(5, 10)), "iOS17"),
    Case("upsample_bilinear", {"x": IMAGE},
         lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=3, align_corners=True),
         lambda x: interpolated(x, strict(4, 8), strict(5, 15))),
    Case("upsample_bilinear, outlines aligned", {"x": IMAGE},
         lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=2.5, scale_factor_width=1.0, align_corners=False),
         lambda x: interpolated(x, half_pixel(4, 10), half_pixel(5, 5))),
    Case("upsample_bilinear from the first centre", {"x": IMAGE},
         lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=3, align_corners=False,
                                            half_pixel_centers=False),
         lambda x: interpolated(x, default(4, 8), default(5, 15)), "iOS16"),
    bilinear("STRICT_ALIGN_CORNERS", strict),
    bilinear("ALIGN_CORNERS", strict),
    bilinear("DEFAULT", default),
    bilinear("OFFSET_CORNERS", offset),
    bilinear("UNALIGN_CORNERS", half_pixel),
    Case("resize_bilinear to one row", {"x": IMAGE},
         lambda mb, x: mb.resize_bilinear(x=x, target_size_width=5, sampling_mode="ALIGN_CORNERS"),
         lambda x: x[:, :, 1:3].mean(2, keepdims=True)),
    resample("constant", "bilinear", "normalized_minus_one_to_one", False, from_edges, outside=0.75),
    resample("border", "bilinear", "normalized_minus_one_to_one", True, from_centres),
    resample("reflection", "bilinear", "normalized_minus_one_to_one", True, from_centres),
    resample("symmetric", "bilinear", "normalized_minus_one_to_one", False, from_edges),
    resample("border", "nearest", "normalized_zero_to_one", False, lambda value, size: value * size - 0.5),
    resample("constant", "nearest", "unnormalized", True, lambda value, size: value, grid=GRID * np.float32(3)),
]  # fmt: skip
