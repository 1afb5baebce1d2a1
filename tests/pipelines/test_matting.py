"""Edges: alpha that comes back from a known composite, colour without its background."""

import cv2
import numpy as np
import pytest

from mobigen.pipelines import matting
from mobigen.pipelines.matting import border_width, cut_out, foreground, guided_filter


def scene(size=256, colour=(200, 30, 40), behind=(20, 160, 60)):
    """A disk with a soft edge over a flat ground: the photo, its true alpha, and ragged logits."""
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(rows - size / 2, columns - size / 2) - size / 4
    alpha = (0.5 - distance / 4).clip(0, 1)[..., None]
    photo = np.rint(alpha * colour + (1 - alpha) * behind).astype(np.uint8)
    rough = cv2.resize(distance.astype(np.float32), (size // 4, size // 4), interpolation=cv2.INTER_NEAREST)
    logits = -cv2.resize(rough, (size, size), interpolation=cv2.INTER_NEAREST)
    return photo, alpha[..., 0], logits


def test_alpha_is_nearer_to_the_truth_than_the_mask():
    photo, alpha, logits = scene()
    cut = cut_out(photo, logits)[..., 3] / 255
    ragged = np.abs((logits > 0) - alpha).mean()
    assert np.abs(cut - alpha).mean() < 0.75 * ragged
    assert ((cut > 0.05) & (cut < 0.95)).sum() > 100  # soft


def test_the_edge_has_the_objects_colour():
    photo, _, logits = scene()
    cut = cut_out(photo, logits)
    edge = (cut[..., 3] > 60) & (cut[..., 3] < 220)
    assert edge.any()
    before = np.abs(photo[edge].astype(int) - (200, 30, 40)).mean()
    after = np.abs(cut[edge][:, :3].astype(int) - (200, 30, 40)).mean()
    assert after < 0.6 * before


def test_far_from_the_edge_nothing_changes():
    photo, _, logits = scene()
    cut = cut_out(photo, logits)
    assert (cut[120:136, 120:136, :3] == photo[120:136, 120:136]).all()
    assert cut[120:136, 120:136, 3].min() == 255
    assert cut[:20].max() == 0


def test_the_frame_of_the_photo_is_no_edge():
    photo = np.full((40, 50, 3), 90, np.uint8)
    cut = cut_out(photo, np.full((40, 50), 5, np.float32))
    assert cut[..., 3].min() == 255
    assert (cut[..., :3] == 90).all()


def test_tiles_do_not_show(monkeypatch):
    photo, _, logits = scene()
    whole = cut_out(photo, logits)
    monkeypatch.setattr(matting, "TILE", 60)
    np.testing.assert_allclose(cut_out(photo, logits).astype(int), whole.astype(int), atol=2)


def test_a_guided_filter_of_a_linear_function_of_colour_is_that_function():
    guide = np.random.default_rng(0).random((40, 50, 3)).astype(np.float32)
    values = guide @ np.float32([0.3, -0.2, 0.5]) + 0.1
    np.testing.assert_allclose(guided_filter(guide, values, 4, 1e-6), values, atol=1e-3)


def test_a_guided_filter_of_one_colour_is_a_mean():
    guide = np.full((30, 30, 3), 0.5, np.float32)
    values = np.random.default_rng(0).random((30, 30)).astype(np.float32)
    blurred = cv2.blur(cv2.blur(values, (5, 5), borderType=cv2.BORDER_REFLECT), (5, 5), borderType=cv2.BORDER_REFLECT)
    np.testing.assert_allclose(guided_filter(guide, values, 2, 1e-3), blurred, atol=1e-5)


def test_a_guided_filter_solves_the_equations_of_every_window():
    """Equations 14 to 16 as they stand, for one window: its size is the picture's."""
    source = np.random.default_rng(0)
    guide, values = source.random((9, 9, 3)).astype(np.float32), source.random((9, 9)).astype(np.float32)
    colours, wanted = guide.reshape(-1, 3).astype(np.float64), values.ravel().astype(np.float64)
    together = ((colours - colours.mean(0)) * (wanted - wanted.mean())[:, None]).mean(0)
    slope = np.linalg.solve(np.cov(colours.T, bias=True) + 0.01 * np.eye(3), together)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matting.cv2, "blur", lambda x, *_, **__: np.full_like(x, x.mean(dtype=np.float64)))
        found = guided_filter(guide, values, 4, 0.01)
    np.testing.assert_allclose(found.ravel(), (colours - colours.mean(0)) @ slope + wanted.mean(), atol=1e-5)


def test_colour_is_that_of_the_object_where_it_is_mixed():
    photo, alpha, _ = scene()
    pure = foreground(photo.astype(np.float32) / 255, alpha.astype(np.float32), 12)
    mixed = (alpha > 0.2) & (alpha < 1)
    np.testing.assert_allclose(pure[mixed] * 255, np.broadcast_to((200, 30, 40), (mixed.sum(), 3)), atol=25)


@pytest.mark.parametrize(("shape", "width"), [((10, 10), 2), ((512, 300), 3), ((12_000, 800), 70)])
def test_the_border_grows_with_the_photo(shape, width):
    assert border_width(shape) == width
