"""PNG files written row by row, as Pillow reads them."""

import io
import weakref
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from mobigen.errors import InputError
from mobigen.media import read_parameters
from mobigen.png import write_png

PARAMETERS = {"model": "upscale-x2", "scale": 2, "said": "ä€"}


def pixels(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3, 4]), st.integers(1, 7))
def test_every_pixel_comes_back(tmp_path_factory, height, width, channels, rows):
    path, picture = tmp_path_factory.mktemp("png") / "some.png", pixels(height, width, channels)
    bands = [picture[top : top + rows] for top in range(0, height, rows)]
    write_png(path, (width, height), channels, bands, PARAMETERS)
    with Image.open(path) as image:
        image.load()
        assert image.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        np.testing.assert_array_equal(np.asarray(image).reshape(picture.shape), picture)


def test_parameters_and_profile_are_inside(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write_png(tmp_path / "some.png", (4, 4), 3, [pixels(4, 4, 3)], PARAMETERS, profile)
    assert read_parameters(tmp_path / "some.png") == PARAMETERS
    with Image.open(tmp_path / "some.png") as image:
        assert image.info["icc_profile"] == profile


def test_slopes_are_packed_well(tmp_path):
    slope = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None], (200, 300, 3))
    write_png(tmp_path / "slope.png", (300, 200), 3, [slope], {"model": "x"})
    assert (tmp_path / "slope.png").stat().st_size < 2000


def test_bands_are_not_kept(tmp_path):
    """Each is compressed before the next is asked for."""
    made = []

    def bands():
        for _ in range(5):
            assert sum(band() is not None for band in made) <= 1
            band = pixels(8, 50, 3)
            made.append(weakref.ref(band))
            yield band

    write_png(tmp_path / "some.png", (50, 40), 3, bands(), {"model": "x"})
    assert len(made) == 5


def test_an_interrupted_file_is_not_left(tmp_path):
    def bands():
        yield pixels(4, 4, 3)
        raise KeyboardInterrupt

    (tmp_path / "some.png").write_bytes(b"the old one")
    with pytest.raises(KeyboardInterrupt):
        write_png(tmp_path / "some.png", (4, 8), 3, bands(), {"model": "x"})
    assert [path.name for path in tmp_path.iterdir()] == ["some.png"]
    assert (tmp_path / "some.png").read_bytes() == b"the old one"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*No such file or directory; choose another place"):
        write_png(tmp_path / "none" / "some.png", (4, 4), 3, [pixels(4, 4, 3)], {"model": "x"})


def test_chunks_have_their_checksums(tmp_path):
    write_png(tmp_path / "some.png", (4, 4), 3, [pixels(4, 4, 3)], {"model": "x"})
    file = io.BytesIO((tmp_path / "some.png").read_bytes()[8:])
    kinds = []
    while head := file.read(8):
        content = file.read(int.from_bytes(head[:4], "big"))
        assert int.from_bytes(file.read(4), "big") == zlib.crc32(head[4:] + content)
        kinds.append(head[4:])
    assert list(dict.fromkeys(kinds)) == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]
