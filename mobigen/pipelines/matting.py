"""From a mask to a cutout: alpha that follows the photo at the border, and colours without the old background.

Only tiles with border in them are worked on, so that a photo of any size takes little memory.
"""

from collections.abc import Iterator

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

    colours, average = mean(guide), mean(values)
    products = mean((guide[..., :, None] * guide[..., None, :]).reshape(*values.shape, 9)).reshape(*values.shape, 3, 3)
    spread = products - colours[..., :, None] * colours[..., None, :] + smooth * np.eye(3, dtype=np.float32)
    together = mean(guide * values[..., None]) - colours * average[..., None]
    slope = np.linalg.solve(spread, together[..., None])[..., 0]
    offset = average - (slope * colours).sum(-1)
    return (mean(slope) * guide).sum(-1) + mean(offset)


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
