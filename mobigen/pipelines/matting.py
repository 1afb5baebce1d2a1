"""From a mask to a cutout: alpha that follows the photo at the border, and colours without the old background.

Only tiles with border in them are worked on, so that a photo of any size takes little memory.
"""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np

__all__ = ["border_width", "cut_out", "foreground", "guided_filter"]

TILE = 768  # pixels a side
SMOOTH = 1e-4  # of the guided filter: what variance of colour counts as an edge
FIRM = 0.12  # alpha this near to 0 or 1 becomes it, since a filter never quite reaches them
REACH = 12  # border widths around a tile that its pixels may depend on
MASK_CELLS = 256  # of a mask's longer side: its border is unsure by about a cell


def cut_out(photo: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The object alone.

    Args:
        photo: uint8 (H, W, 3) in RGB order.
        logits: float32 (H, W), above 0 on the object.

    Returns:
        uint8 (H, W, 4) in RGBA order: straight colour, soft alpha at the border, zeros where nothing is.
    """
    mask = (logits > 0).astype(np.uint8)
    result = np.dstack([photo, mask * 255])
    width = border_width(mask.shape)
    border = _border(mask, width)
    for outer, inner, place in _tiles(mask.shape, REACH * width):
        if border[place].any():
            tile = _refined(photo[outer], logits[outer], border[outer], width)
            result[place] = tile[inner]
    result[result[..., 3] == 0] = 0
    return result


def border_width(shape: tuple[int, ...]) -> int:
    """Pixels to either side of a mask's edge within which it is unsure, for a photo of `shape`."""
    return max(2, round(1.5 * max(shape[:2]) / MASK_CELLS))


def _border(mask: np.ndarray, width: int) -> np.ndarray:
    """Where alpha may be anything; the frame of the photo is no edge."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    return (cv2.dilate(mask, kernel) - cv2.erode(mask, kernel)).astype(bool)


def _tiles(shape: tuple[int, int], margin: int) -> Iterator[tuple[tuple, tuple, tuple]]:
    """Slices of a tile with its margin, of the tile inside that, and of the tile in the photo."""
    height, width = shape
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            y, x = max(0, top - margin), max(0, left - margin)
            bottom, right = min(height, top + TILE), min(width, left + TILE)
            outer = (slice(y, min(height, bottom + margin)), slice(x, min(width, right + margin)))
            inner = (slice(top - y, bottom - y), slice(left - x, right - x))
            yield outer, inner, (slice(top, bottom), slice(left, right))


def _refined(photo: np.ndarray, logits: np.ndarray, border: np.ndarray, width: int) -> np.ndarray:
    """A tile's RGBA."""
    colour = photo.astype(np.float32) / 255
    soft = 1 / (1 + np.exp(-logits.clip(-30, 30)))
    alpha = ((guided_filter(colour, soft, width, SMOOTH) - FIRM) / (1 - 2 * FIRM)).clip(0, 1)
    alpha = np.where(border, alpha, logits > 0).astype(np.float32)
    pure = foreground(colour, alpha, REACH * width // 2)
    pure = np.where((border & (alpha < 1))[..., None], pure, colour)
    return np.rint(np.dstack([pure, alpha]).clip(0, 1) * 255).astype(np.uint8)


def guided_filter(guide: np.ndarray, values: np.ndarray, radius: int, smooth: float) -> np.ndarray:
    """Values as a local linear function of colour (He et al. 2010, Guided Image Filtering, equations 14 to 16).

    Args:
        guide: float32 (H, W, 3) in [0, 1].
        values: float32 (H, W).
        radius: of the square windows, in pixels.
        smooth: the regularisation, a variance.
    """

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, (2 * radius + 1, 2 * radius + 1), borderType=cv2.BORDER_REFLECT)

    colours, average = cv2.split(guide), mean(values)
    means = [mean(each) for each in colours]
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    spread = {(i, j): mean(colours[i] * colours[j]) - means[i] * means[j] + smooth * (i == j) for i, j in pairs}
    together = [mean(each * values) - centre * average for each, centre in zip(colours, means, strict=True)]
    slopes = _solve(spread, together)
    offset = average - sum(map(np.multiply, slopes, means))
    return sum(map(np.multiply, map(mean, slopes), colours), mean(offset))


def _solve(matrix: Mapping[tuple[int, int], np.ndarray], vector: Sequence[np.ndarray]) -> list[np.ndarray]:
    """x of matrix x = vector at every pixel, where `matrix` is the upper triangle of 3 x 3, symmetric and positive.

    L D L^T (Golub and Van Loan, Matrix Computations, 4.1.2) on whole planes: LAPACK, called for each pixel, was most
    of the time that a photo took.
    """
    first, low, lower = matrix[0, 0], matrix[0, 1] / matrix[0, 0], matrix[0, 2] / matrix[0, 0]
    second, rest = matrix[1, 1] - low * matrix[0, 1], matrix[1, 2] - lower * matrix[0, 1]
    lowest = rest / second
    third = matrix[2, 2] - lower * matrix[0, 2] - lowest * rest
    y = vector[1] - low * vector[0]
    z = (vector[2] - lower * vector[0] - lowest * y) / third
    y = y / second - lowest * z
    return [vector[0] / first - low * y - lower * z, y, z]


def foreground(photo: np.ndarray, alpha: np.ndarray, radius: int) -> np.ndarray:
    """The object's own colour where it is mixed with what was behind it.

    Blur fusion (Forte, arXiv 2006.14970, equations 4 and 5), twice, the second time over a tenth of the radius.

    Args:
        photo: float32 (H, W, 3) in [0, 1].
        alpha: float32 (H, W) in [0, 1].
        radius: of the blur, in pixels.
    """
    share, own, behind = alpha[..., None], photo, photo
    for reach in (radius, max(1, radius // 10)):
        size = (2 * reach + 1, 2 * reach + 1)
        total, rest = cv2.blur(alpha, size)[..., None], cv2.blur(1 - alpha, size)[..., None]
        own = cv2.blur(own * share, size) / (total + 1e-5)
        behind = cv2.blur(behind * (1 - share), size) / (rest + 1e-5)
        own = (own + share * (photo - share * own - (1 - share) * behind)).clip(0, 1)
    return own
