"""Pictures are written whole or not at all, and carry what made them."""

import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from mobigen.errors import InputError
from mobigen.media import (
    SUFFIXES,
    contact_sheet,
    open_photo,
    open_picture,
    read_parameters,
    save_image,
    write_file,
)

PARAMETERS = {
    "prompt": 'a "café" & fox',
    "style": "3d",
    "steps": 4,
    "seed": 7,
    "model": "sticker",
    "version": "1",
}


@pytest.fixture
def picture():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 4), np.uint8)
    pixels[:8] = 0
    return Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_picture_and_its_parameters_come_back_exactly(picture, tmp_path, suffix):
    path = tmp_path / f"fox{suffix}"
    save_image(picture, path, PARAMETERS)
    assert read_parameters(path) == PARAMETERS
    with Image.open(path) as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image), np.asarray(picture))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_picture_gives_the_same_bytes_later(picture, tmp_path, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in ("first", "second")]
    save_image(picture, paths[0], PARAMETERS)
    time.sleep(1.1)  # a time stamp would change
    save_image(picture, paths[1], PARAMETERS)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("name", ["fox.jpg", "fox", "fox.png.gif"])
def test_other_formats_are_refused(picture, tmp_path, name):
    with pytest.raises(InputError, match=r"accepted: \.png, \.webp"):
        save_image(picture, tmp_path / name, PARAMETERS)
    assert not list(tmp_path.iterdir())


def test_suffixes_may_be_upper_case(picture, tmp_path):
    save_image(picture, tmp_path / "FOX.PNG", PARAMETERS)
    assert read_parameters(tmp_path / "FOX.PNG") == PARAMETERS


# --- writing ------------------------------------------------------------------------------------------------


def test_an_existing_file_is_replaced_and_keeps_usual_rights(picture, tmp_path):
    path, usual = tmp_path / "fox.png", tmp_path / "usual"
    usual.touch()
    path.write_bytes(b"old")
    save_image(picture, path, PARAMETERS)
    assert path.read_bytes() != b"old"
    assert path.stat().st_mode == usual.stat().st_mode
    assert sorted(tmp_path.iterdir()) == [path, usual]


def fail(error):
    def raise_it(*_, **__):
        raise error

    return raise_it


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_rename_leaves_the_old_file_alone(tmp_path, monkeypatch, error):
    path = tmp_path / "fox.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", fail(error))
    with pytest.raises((InputError, KeyboardInterrupt)):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="a limit on file sizes is Unix's")
def test_a_full_disk_is_one_clear_line_and_no_half_file(tmp_path):
    """A file-size limit stops a real write half-way, as a full disk does."""
    program = (
        "import resource, sys, pathlib; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from mobigen.media import write_file\n"
        "write_file(pathlib.Path(sys.argv[1]), bytes(5000))"
    )
    result = subprocess.run([sys.executable, "-B", "-c", program, tmp_path / "fox.png"], capture_output=True, text=True)
    assert "InputError: cannot write" in result.stderr
    assert "make room" in result.stderr
    assert not list(tmp_path.iterdir())


def test_no_space_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.open", fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(InputError, match=r"cannot write .*fox\.png: No space left on device"):
        write_file(tmp_path / "fox.png", b"x")


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "fox.png", tmp_path / "nowhere" / "fox.png"):
        with pytest.raises(InputError, match="cannot write"):
            write_file(path, b"x")


def test_a_folder_cannot_be_overwritten(tmp_path):
    (tmp_path / "fox.png").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_file(tmp_path / "fox.png", b"x")
    assert list(tmp_path.iterdir()) == [tmp_path / "fox.png"]


# --- reading ------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_parameters(tmp_path / "none.png")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"RIFF\x00\x00\x00\x00WEBP"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a picture that can be read"):
        read_parameters(path)


def test_a_folder_is_not_taken_for_a_broken_picture(tmp_path):
    for read in (read_parameters, open_picture, open_photo):
        with pytest.raises(InputError, match="is a folder; give the pictures in it"):
            read(tmp_path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_truncated_picture_is_refused(picture, tmp_path, suffix, share):
    path = tmp_path / f"fox{suffix}"
    save_image(picture, path, PARAMETERS)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match="is not a picture that can be read"):
        read_parameters(path)


def test_a_picture_of_another_program_is_told_apart(picture, tmp_path):
    picture.save(tmp_path / "other.png")
    picture.save(tmp_path / "other.webp")
    picture.convert("RGB").save(tmp_path / "other.jpg")
    save_image(picture, tmp_path / "nearly.png", {"prompt": "no model"})
    for path in tmp_path.iterdir():
        with pytest.raises(InputError, match="carries no mobigen parameters"):
            read_parameters(path)


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_damaged_parameters_are_refused(picture, tmp_path, text):
    from PIL import PngImagePlugin

    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("mobigen", text)
    picture.save(tmp_path / "x.png", pnginfo=chunks)
    with pytest.raises(InputError, match="carries no mobigen parameters"):
        read_parameters(tmp_path / "x.png")


# --- contact sheets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (3, 3), (4, 4), (8, 4), (30, 6)])
def test_a_sheet_is_about_as_wide_as_high(picture, count, columns):
    sheet = contact_sheet([picture] * count, ["fox"] * count)
    width, height = picture.size
    rows = -(-count // columns)
    assert columns * width < sheet.width < columns * width * 1.5 + 32
    assert rows * height < sheet.height < rows * height * 2.5 + 32


def test_edges_show_on_light_and_on_dark_ground():
    clear = Image.new("RGBA", (64, 64))
    sheet = np.asarray(contact_sheet([clear], [""]).convert("L"))
    assert (sheet < 60).sum() > 64 * 64 / 3
    assert (sheet > 200).sum() > 64 * 64 / 3


def test_labels_are_drawn_and_stay_in_their_column(picture):
    def ink(label):
        sheet = np.asarray(contact_sheet([picture], [label]).convert("L"), int)
        return (sheet[-30:] < 128).any(axis=0)

    assert not ink("").any()
    assert ink("fox").any()
    long = ink("a very long prompt that cannot fit")
    assert not long[:8].any()
    assert not long[-8:].any()


def test_a_label_for_every_picture(picture):
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        contact_sheet([picture] * 2, ["one"])


# --- photos -------------------------------------------------------------------------------------------------


def photo_pixels():
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[:3, :, 0] = 200
    return pixels


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK"])
def test_a_photo_of_any_mode_is_rgb(tmp_path, mode):
    suffix = "tiff" if mode == "CMYK" else "png"
    Image.fromarray(photo_pixels()).convert(mode).save(tmp_path / f"photo.{suffix}")
    image = open_photo(tmp_path / f"photo.{suffix}")
    assert image.mode == "RGB"
    np.testing.assert_allclose(np.asarray(image), photo_pixels(), atol=6)  # a palette has steps


def test_grey_of_16_bits_keeps_its_range(tmp_path):
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "grey.png")
    assert np.asarray(open_photo(tmp_path / "grey.png"))[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]


def test_what_is_transparent_lies_on_white(tmp_path):
    pixels = np.dstack([photo_pixels(), np.full((6, 8), 0, np.uint8)])
    Image.fromarray(pixels).save(tmp_path / "clear.png")
    assert np.asarray(open_photo(tmp_path / "clear.png")).min() == 255


def test_a_photo_is_turned_as_its_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo_pixels()).save(tmp_path / "turned.jpg", exif=exif, quality=100)
    image = open_photo(tmp_path / "turned.jpg")
    assert image.size == (6, 8)
    assert np.asarray(image)[4, 5, 0] > 150 > np.asarray(image)[4, 0, 0]


def test_photos_that_cannot_be_opened(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="there is no file"):
        open_photo(tmp_path / "none.jpg")
    (tmp_path / "soup.jpg").write_bytes(b"soup")
    with pytest.raises(InputError, match="is not a picture that can be read"):
        open_photo(tmp_path / "soup.jpg")
    Image.fromarray(photo_pixels()).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    assert open_photo(tmp_path / "large.png").size == (8, 6)  # only a warning in Pillow
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(InputError, match="is larger than 0 megapixels; cut it into parts"):
        open_photo(tmp_path / "large.png")
