"""Pictures on disk, written whole or not at all, with what made them inside; and contact sheets.

With `png` and `video`, the only files that open media files.
"""

import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps, PngImagePlugin

from mobigen.errors import InputError

__all__ = [
    "PNG_KEY",
    "SUFFIXES",
    "contact_sheet",
    "exif_of",
    "open_photo",
    "open_picture",
    "read_parameters",
    "replacing_file",
    "save_image",
    "write_file",
]

SUFFIXES = (".png", ".webp")
PNG_KEY = "mobigen"  # the text chunk with the parameters as JSON; other files have them in Exif's ImageDescription
LIGHT, DARK, INK = (250, 250, 252), (38, 40, 48), (60, 62, 70)  # of contact sheets
LABEL_HEIGHT, LABEL_SIZE, GAP = 28, 15, 12  # pixels

Parameters = Mapping[str, str | int | float]


def save_image(image: Image.Image, path: str | os.PathLike[str], parameters: Parameters) -> None:
    """Write a picture as PNG or lossless WebP with `parameters` inside; equal arguments give equal bytes.

    Args:
        image: any mode that the format knows; RGBA for stickers.
        path: ends in .png or .webp; an existing file is replaced.
        parameters: what made the picture, `read_parameters` gives it back.

    Raises:
        InputError: another suffix, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} does not end in a known suffix; accepted: {', '.join(SUFFIXES)}")
    buffer = BytesIO()
    if path.suffix.lower() == ".png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text(PNG_KEY, json.dumps(dict(parameters)))
        image.save(buffer, "PNG", pnginfo=chunks)
    else:
        image.save(buffer, "WEBP", lossless=True, exact=True, exif=exif_of(parameters))
    write_file(path, buffer.getvalue())


def exif_of(parameters: Parameters) -> Image.Exif:
    """Exif data with `parameters`, for pictures that are not PNG; `read_parameters` gives them back."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = json.dumps(dict(parameters))
    return exif


def write_file(path: Path, content: bytes) -> None:
    """Write to a temporary name in the same folder, then rename: no reader ever sees half a file.

    Raises:
        InputError: the folder is missing or not writable, or the disk is full.
    """
    with replacing_file(path) as file:
        file.write(content)


@contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when all went well, and vanishes when it did not.

    Raises:
        InputError: the folder is missing or not writable, or the disk is full.
    """
    temporary = path.with_name(f".mobigen-{os.urandom(6).hex()}.part")
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place or make room") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_parameters(path: str | os.PathLike[str]) -> dict[str, str | int | float]:
    """The parameters that `save_image` put into a picture.

    Raises:
        InputError: the file is missing, not a picture, damaged, or not made by mobigen.
    """
    with _reading(path) as image:
        image.load()
        text = image.info.get(PNG_KEY) or image.getexif().get(ExifTags.Base.ImageDescription)
    return _parse(text, path)


def open_photo(path: str | os.PathLike[str]) -> Image.Image:
    """A photo as RGB, upright as its Exif data say; grey becomes RGB, and what is transparent lies on white.

    Raises:
        InputError: the file is missing, not a picture, damaged, too large to be held, or animated.
    """
    with _reading(path) as image:
        _check_single(image, path)
        return _as_rgb(ImageOps.exif_transpose(image))


def open_picture(path: str | os.PathLike[str]) -> Image.Image:
    """A picture in mode L, RGB or RGBA, upright as its Exif data say; its ICC profile, if it holds, is in `info`.

    16 bits become 8, CMYK and palettes RGB; of a phone's several pictures in one file the first counts.

    Raises:
        InputError: the file is missing, not a picture, damaged, too large to be held, or animated.
    """
    with _reading(path) as image:
        _check_single(image, path)
        upright = ImageOps.exif_transpose(image)
        plain = _as_plain(upright)
        if plain is not upright and image.mode == "CMYK":
            plain.info.pop("icc_profile", None)  # which speaks of inks
        return plain


@contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """A file opened by Pillow. Raises InputError for all that can go wrong while it is read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # a panorama is no attack; twice that is
            with Image.open(path) as image:
                yield image
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder; give the pictures in it, {Path(path, '*.jpg')} say") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise InputError(f"{path} is larger than {most} megapixels; cut it into parts first") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path} is not a picture that can be read: {error}") from error


def _check_single(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Raises InputError for an animation, or a document of several pages."""
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":
        raise InputError(f"{path} has {count} pictures; save the one that is meant as a file of its own")


def _as_plain(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB", "RGBA"):
        return image if not image.has_transparency_data or image.mode == "RGBA" else image.convert("RGBA")
    if image.mode.startswith("I"):
        return _as_8_bits(image)
    if image.mode == "F":
        raise ValueError("its numbers are floating-point; save it with 8 or 16 bits")
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _as_8_bits(image: Image.Image) -> Image.Image:
    """16 or 32 bits of grey as L."""
    return image.point(lambda value: value / 257).convert("L")


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = _as_8_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def _parse(text: object, path: str | os.PathLike[str]) -> dict[str, str | int | float]:
    try:
        values = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or "model" not in values:
        raise InputError(f"{path} carries no mobigen parameters; it was made or saved by another program")
    return values


def contact_sheet(images: Sequence[Image.Image], labels: Sequence[str], columns: int | None = None) -> Image.Image:
    """All pictures on one, each on half light and half dark ground so that its edges show, its label below.

    Args:
        images: at least one, RGBA, all of one size.
        labels: one for each picture; cut where too long.
        columns: None makes the sheet about as wide as high, and at least 4 wide if there are as many.

    Returns:
        An RGB image.
    """
    columns = columns or min(len(images), max(4, math.ceil(math.sqrt(len(images)))))
    width, height = images[0].size
    rows = math.ceil(len(images) / columns)
    size = (GAP + columns * (width + GAP), GAP + rows * (height + LABEL_HEIGHT + GAP))
    sheet = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(LABEL_SIZE)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        x = GAP + index % columns * (width + GAP)
        y = GAP + index // columns * (height + LABEL_HEIGHT + GAP)
        sheet.paste(_on_two_grounds(image), (x, y))
        draw.text((x + width / 2, y + height + 6), _fit(label, font, width), INK, font, anchor="ma")
    return sheet


def _on_two_grounds(image: Image.Image) -> Image.Image:
    """The picture over a ground that is light at the upper left and dark at the lower right."""
    ground = Image.new("RGBA", image.size, LIGHT)
    width, height = image.size
    ImageDraw.Draw(ground).polygon([(width, 0), (width, height), (0, height)], DARK)
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")


def _fit(label: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """The label, its end replaced by dots if it is wider than `width` pixels."""
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "...") > width:
        label = label[:-1]
    return label.rstrip() + "..."
