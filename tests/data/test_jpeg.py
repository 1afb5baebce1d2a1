"""Simulated JPEG against the IJG's library, through Pillow."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mobigen.data.jpeg import compress
from mobigen.data.synthetic import draw_photo


def tensor(photo):
    return torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255


def pixels(images):
    return (images[0].permute(1, 2, 0) * 255).round().numpy()


def by_pillow(photo, quality):
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file)).astype(float)


@pytest.fixture(scope="module")
def photo():
    return draw_photo(96, 80, np.random.default_rng(1))


@pytest.mark.parametrize("quality", [20, 50, 80, 95])
def test_it_is_near_what_the_library_makes(photo, quality):
    ours, theirs = pixels(compress(tensor(photo), torch.tensor([float(quality)]))), by_pillow(photo, quality)
    lost = np.abs(photo - theirs).mean()
    assert np.abs(ours - theirs).mean() < 0.35 * lost + 0.6
    assert np.abs(photo - ours).mean() == pytest.approx(lost, rel=0.25)


def test_each_picture_has_its_own_quality(photo):
    both = compress(tensor(photo).repeat(2, 1, 1, 1), torch.tensor([15.0, 90.0]))
    errors = (both - tensor(photo)).abs().mean((1, 2, 3))
    assert errors[0] > 2 * errors[1]
    torch.testing.assert_close(both[1:], compress(tensor(photo), torch.tensor([90.0])))


def test_grey_stays_grey_and_sizes_may_be_odd():
    grey = torch.full((1, 3, 13, 21), 100 / 255)
    torch.testing.assert_close(compress(grey, torch.tensor([50.0])), grey, rtol=0, atol=1.01 / 255)


def test_results_are_whole_levels(photo):
    levels = compress(tensor(photo), torch.tensor([60.0])) * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
