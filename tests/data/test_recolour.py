"""Colours are named as people name them, and land where they are sent."""

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobigen.data.recolour import COLOURS, colour_shares, dominant_region, recolour
from mobigen.data.synthetic import SHAPES, draw_shape

NAMED = {  # colours of the CSS standard, by the name that people give them
    "red": "#ff0000", "orange": "#ffa500", "yellow": "#ffff00", "green": "#008000", "teal": "#008080",
    "blue": "#0000ff", "purple": "#663399", "pink": "#ffc0cb", "brown": "#8b4513", "black": "#000000",
    "white": "#ffffff", "gray": "#808080",
}  # fmt: skip
HUES = [name for name in COLOURS if name not in ("black", "white", "gray")]


def plain(rgb, size=16, alpha=255):
    return np.broadcast_to(np.array([*rgb, alpha], np.uint8), (size, size, 4)).copy()


def shaded(shape, colour, size=64):
    """A drawn sticker with light from above and a dark outline."""
    picture = draw_shape(shape, colour, size)
    light = np.linspace(1.0, 0.8, size)[:, None, None]
    picture[..., :3] = np.round(picture[..., :3] * light)
    outline = (picture[..., 3] > 0) & (draw_shape(shape, colour, size, radius=0.32)[..., 3] == 0)
    picture[outline, :3] = 20
    return picture


@pytest.mark.parametrize(("name", "code"), NAMED.items())
def test_standard_colours_have_their_names(name, code):
    shares = colour_shares(plain(bytes.fromhex(code[1:])))
    assert shares[name] == 1
    assert set(shares) == set(COLOURS)


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_every_colour_has_one_name(rgb):
    shares = colour_shares(plain(rgb, size=2))
    assert sorted(shares.values()) == [0.0] * 11 + [1.0]


def test_what_is_transparent_is_not_counted():
    picture = plain((255, 0, 0))
    picture[:8] = (0, 0, 255, 0)
    assert colour_shares(picture)["red"] == 1
    assert sum(colour_shares(plain((255, 0, 0), alpha=0)).values()) == 0


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("colour", [*HUES, "white", "gray"])
def test_a_sticker_has_the_colour_that_it_was_drawn_in(shape, colour):
    assert dominant_region(shaded(shape, colour)).name == colour


@pytest.mark.parametrize("natural", [*HUES, "white", "gray"])
@pytest.mark.parametrize("colour", COLOURS)
def test_a_new_colour_lands_on_its_own_name(natural, colour):
    picture = shaded("circle", natural)
    shares = colour_shares(recolour(picture, dominant_region(picture), colour))
    outline = colour_shares(picture)["black"]
    assert shares[colour] > (0.9 if colour == "black" else 0.9 * (1 - outline))


@given(
    st.sampled_from(list(SHAPES)),
    st.sampled_from(HUES),
    st.sampled_from(list(COLOURS)),
    st.integers(24, 96),
    st.floats(0.25, 0.45),
)
def test_only_the_region_changes_and_the_outline_stays(shape, natural, colour, size, radius):
    picture = draw_shape(shape, natural, size, radius)
    region = dominant_region(picture)
    moved = recolour(picture, region, colour)
    assert (moved.shape, moved.dtype) == (picture.shape, np.uint8)
    np.testing.assert_array_equal(moved[..., 3], picture[..., 3])
    np.testing.assert_array_equal(moved[region.mask == 0], picture[region.mask == 0])


def test_shading_is_kept():
    picture = plain((200, 40, 40), size=32)
    picture[24:, :, :3] //= 2
    moved = recolour(picture, dominant_region(picture), "blue")
    values = [colorsys.rgb_to_hsv(*(moved[row, 0, :3] / 255))[2] for row in (0, 31)]
    assert values[1] / values[0] == pytest.approx(0.5, abs=0.03)


def test_a_sticker_of_many_colours_has_none():
    picture = plain((0, 0, 0), size=40)
    hues = np.repeat(np.arange(5) * 72, 8)
    picture[..., :3] = np.array([np.round(255 * np.array(colorsys.hsv_to_rgb(hue / 360, 1, 1))) for hue in hues])
    assert dominant_region(picture) is None


@pytest.mark.parametrize("picture", [plain((255, 0, 0), alpha=0), plain((0, 0, 0)), plain((255, 0, 0), size=4)])
def test_nothing_to_see_too_dark_or_too_small_has_no_region(picture):
    assert dominant_region(picture) is None
