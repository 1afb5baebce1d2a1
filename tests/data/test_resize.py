"""Bicubic reduction against Pillow, which computes the same away from borders."""

import numpy as np
import pytest
import torch
from PIL import Image

from mobigen.data.resize import resize
from mobigen.data.synthetic import draw_photo


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("enlarge", [False, True])
def test_pillow_agrees_within_its_rounding_away_from_borders(scale, enlarge):
    photo = draw_photo(96, 72, np.random.default_rng(0)) // 2 + 64  # so that nothing overshoots, which Pillow cuts off
    size = (96 * scale, 72 * scale) if enlarge else (96 // scale, 72 // scale)
    theirs = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC)).astype(float)
    tensor = torch.from_numpy(photo).permute(2, 0, 1)[None].double()
    ours = resize(tensor, size[1], size[0])[0].permute(1, 2, 0).clamp(0, 255).round().numpy()
    border = 2 * scale if enlarge else 2
    difference = np.abs(ours - theirs)[border:-border, border:-border]
    assert difference.max() <= 2  # Pillow rounds after each axis
    assert difference.mean() < 0.3


def test_batches_are_resized_picture_by_picture():
    images = torch.rand(3, 2, 12, 18)
    together = resize(images, 6, 6)
    torch.testing.assert_close(together[1:2], resize(images[1:2], 6, 6))
    assert together.shape == (3, 2, 6, 6)
    assert together.dtype == torch.float32
