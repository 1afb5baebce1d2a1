"""The upscale command: pictures and videos of any size -> the same, several times as large."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobigen.cli.files import Target, run_batch
from mobigen.cli.group import Command, bundle_for, fresh_line
from mobigen.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from mobigen.pipelines.upscale import UpscalePipeline
    from mobigen.video import Video

__all__ = ["upscale"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".avi", ".webm")
LARGEST, LONGEST = 100 * 10**6, 16_383  # pixels of a result that is not written row by row, and of its side in WebP
QUALITY = 95  # of JPEG


@click.command(cls=Command)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("-s", "--scale", type=int, help="2, 3 or 4; the model's own if --model is given, or else 2.")
@click.option("-o", "output", default=".", metavar="DIR_OR_FILE", help="Where they go; a file for a single one only.")
@click.option("--model", help="A name, or a bundle's folder with a slash in it; upscale-xSCALE if left out.")
@click.option("--tile", type=int, help="Pixels a side that are run at once; one that the model lacks lists its own.")
@click.option("--strength", type=float, default=1.0, show_default=True, help="0 is bicubic, 1 all of the network.")
@click.option("--backend", default="litert", show_default=True, help="litert, torch or coreml.")
@click.option("--threads", type=int, help="CPU threads.")
def upscale(
    files: tuple[str, ...],
    scale: int | None,
    output: str,
    model: str | None,
    tile: int | None,
    strength: float,
    backend: str,
    threads: int | None,
) -> None:
    """Enlarge pictures and videos, and print where the results are.

    Transparency and colour profiles are kept; pictures are turned upright. A PNG may be of any size: it is written as
    it is made. Videos become .mp4 without sound. mobigen upscale photo.jpg -s 2 -o large.png
    """
    pipeline = _open(model, scale, tile, backend, threads)
    target = Target(output, (".mp4",) if _is_video(files[0]) else SUFFIXES, len(files), "files", files)

    def enlarge(number: int, name: str) -> Path:
        suffix = ".mp4" if _is_video(name) else ".png"
        path = target.path(f"{Path(name).stem}_x{pipeline.scale}{suffix}")
        return _upscale(pipeline, name, path, strength, _Progress(name, number, len(files)))

    run_batch(files, enlarge, target)


def _open(model: str | None, scale: int | None, tile: int | None, backend: str, threads: int | None) -> UpscalePipeline:
    """The pipeline of the model that is asked for, or that serves the scale."""
    from mobigen.pipelines.upscale import UpscalePipeline, at_tile
    from mobigen.settings import UPSCALES

    if model is None and scale not in (None, *UPSCALES):
        raise InputError(f"-s is {scale}; accepted: {', '.join(map(str, UPSCALES))}")
    bundle = bundle_for("upscale", model or f"upscale-x{2 if scale is None else scale}")
    found = bundle.metadata.settings.scale
    if scale not in (None, found):
        raise InputError(f"{model} enlarges by {found}, -s asks for {scale}; leave one of them out")
    return UpscalePipeline.from_bundle(bundle if tile is None else at_tile(bundle, tile), backend, threads)


class _Progress:
    """A line on a terminal's stderr that changes as a file gets done, and vanishes."""

    def __init__(self, name: str, number: int, files: int) -> None:
        self._what = f"{name} ({number} of {files})"

    def show(self, done: int, total: int) -> None:
        """That much of the file."""
        if fresh_line():
            click.echo(f"{fresh_line()}{self._what}: {min(done / total, 1):.0%}", nl=False, err=True)

    def clear(self) -> None:
        """The line is of no more use."""
        click.echo(fresh_line(), nl=False, err=True)


def _is_video(name: str) -> bool:
    return Path(name).suffix.lower() in VIDEO_SUFFIXES


def _upscale(pipeline: UpscalePipeline, name: str, path: Path, strength: float, progress: _Progress) -> Path:
    if _is_video(name):
        _upscale_video(pipeline, name, path, strength, progress)
    else:
        _upscale_picture(pipeline, name, path, strength, progress)
    progress.clear()
    return path


def _upscale_picture(pipeline: UpscalePipeline, name: str, path: Path, strength: float, progress: _Progress) -> None:
    from mobigen.media import open_picture
    from mobigen.png import write_png

    picture = open_picture(name)
    width, height = (size * pipeline.scale for size in picture.size)
    bands = _bands(pipeline, picture, strength, height, progress)
    parameters, profile = pipeline.parameters | {"strength": strength}, picture.info.get("icc_profile")
    if path.suffix.lower() == ".png":
        write_png(path, (width, height), len(picture.getbands()), bands, parameters, profile)
        return
    if path.suffix.lower() != ".webp" and picture.mode == "RGBA":
        raise InputError(f"{path} cannot hold the transparency of {name}; give a .png or .webp")
    if width * height > LARGEST or max(width, height) > LONGEST:
        raise InputError(f"the result has {width}x{height} pixels, too many for {path.suffix}; give a .png")
    _write_whole(path, bands, parameters, profile)


def _bands(
    pipeline: UpscalePipeline, picture: Image.Image, strength: float, height: int, progress: _Progress
) -> Iterator[np.ndarray]:
    for band in pipeline.stream(picture, strength):
        progress.show(band.top + len(band.pixels), height)
        yield band.pixels


def _write_whole(
    path: Path, bands: Iterator[np.ndarray], parameters: dict[str, str | int | float], profile: bytes | None
) -> None:
    """JPEG or WebP."""
    from io import BytesIO

    import numpy as np
    from PIL import Image

    from mobigen.media import exif_of, write_file

    pixels, buffer = np.concatenate(list(bands)), BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    inside: dict[str, Any] = {"quality": QUALITY, "icc_profile": profile, "exif": exif_of(parameters)}
    if path.suffix.lower() == ".webp":
        image.save(buffer, "WEBP", **inside)
    else:
        image.save(buffer, "JPEG", subsampling="4:4:4", **inside)
    write_file(path, buffer.getvalue())


def _upscale_video(pipeline: UpscalePipeline, name: str, path: Path, strength: float, progress: _Progress) -> None:
    from mobigen.video import open_video, write_video

    video = open_video(name)
    width, height = video.size
    size = (width * pipeline.scale, height * pipeline.scale)
    write_video(path, _frames(pipeline, video, strength, progress), size, video.rate)


def _frames(pipeline: UpscalePipeline, video: Video, strength: float, progress: _Progress) -> Iterator[np.ndarray]:
    for number, frame in enumerate(video.frames(), start=1):
        yield pipeline.upscale(frame, strength=strength)
        progress.show(number, video.count)
