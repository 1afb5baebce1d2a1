"""PNG files written row by row, for pictures that are larger than memory."""

import json
import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mobigen.media import PNG_KEY, replacing_file

__all__ = ["write_png"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # by channels: grey, RGB, RGBA
UP = 2  # the filter: each byte less the one above
LEVEL = 4  # of compression: higher ones take several times as long for a few per cent


def write_png(
    path: str | os.PathLike[str],
    size: tuple[int, int],
    channels: int,
    bands: Iterable[np.ndarray],
    parameters: Mapping[str, str | int | float],
    profile: bytes | None = None,
) -> None:
    """Write a picture from its rows, to a temporary name that is then renamed.

    Args:
        path: the file; an existing one is replaced.
        size: width and height.
        channels: 1 grey, 3 RGB or 4 RGBA.
        bands: uint8 (rows, width, channels) from the top, together as high as the picture.
        parameters: what made the picture, `mobigen.media.read_parameters` gives it back.
        profile: an ICC profile, or None.

    Raises:
        InputError: the file cannot be written.
    """
    with replacing_file(Path(path)) as file:
        width, height = size
        file.write(SIGNATURE)
        _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0))
        if profile is not None:
            _write_chunk(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))
        _write_chunk(file, b"tEXt", PNG_KEY.encode() + b"\0" + json.dumps(dict(parameters)).encode("latin-1"))
        _write_rows(file, width * channels, bands)
        _write_chunk(file, b"IEND", b"")


def _write_rows(file: BinaryIO, length: int, bands: Iterable[np.ndarray]) -> None:
    """IDAT chunks: every row behind the number of its filter."""
    packer = zlib.compressobj(LEVEL)
    above = np.zeros((1, length), np.uint8)
    for band in bands:
        rows = band.reshape(len(band), length)
        filtered = np.full((len(rows), length + 1), UP, np.uint8)
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=filtered[:, 1:])  # modulo 256
        above = rows[-1:].copy()
        packed = packer.compress(filtered.tobytes())
        if packed:
            _write_chunk(file, b"IDAT", packed)
    _write_chunk(file, b"IDAT", packer.flush())


def _write_chunk(file: BinaryIO, kind: bytes, content: bytes) -> None:
    checksum = zlib.crc32(kind + content)
    file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum))
