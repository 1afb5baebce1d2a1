"""The cutout command: photos -> transparent PNGs of the object that is clicked on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobigen.cli.files import Target, make_folder, run_batch
from mobigen.cli.group import Command, bundle_for
from mobigen.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from mobigen.pipelines.cutout import CutoutPredictor

__all__ = ["cutout"]

STROKE_POINTS = 12  # that a stroke is thinned to
OBJECT, LISTING = "object_{:03d}.png", "masks.json"  # what --everything writes
Point = tuple[float, float]


def _numbers(text: str, count: int, what: str) -> tuple[float, ...]:
    try:
        values = tuple(float(each) for each in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count or not all(map(math.isfinite, values)):
        raise InputError(f"{text!r} is not {what}; write {','.join(['NUMBER'] * count)} without spaces")
    return values


@click.command(cls=Command)
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@click.option("--click", "clicks", multiple=True, metavar="X,Y", help="A pixel of the object; may be given again.")
@click.option("--not", "others", multiple=True, metavar="X,Y", help="A pixel that is not the object's; again too.")
@click.option("--box", metavar="X0,Y0,X1,Y1", help="A box around the object.")
@click.option("--stroke", "strokes", multiple=True, metavar="X,Y:X,Y...", help="A line over the object.")
@click.option("--mask", is_flag=True, help="Write the mask, white on black, instead of the object.")
@click.option("--everything", is_flag=True, help="Cut out all objects, into a folder with masks.json in SAM's format.")
@click.option("-o", "output", default=".", metavar="DIR_OR_FILE", help="Where they go; a .png for one photo only.")
@click.option("--model", default="cutout", show_default=True, help="A name, or a bundle's folder with a slash in it.")
@click.option("--backend", default="litert", show_default=True, help="litert, torch or coreml.")
@click.option("--threads", type=int, help="CPU threads.")
def cutout(
    photos: tuple[str, ...],
    clicks: tuple[str, ...],
    others: tuple[str, ...],
    box: str | None,
    strokes: tuple[str, ...],
    mask: bool,
    everything: bool,
    output: str,
    model: str,
    backend: str,
    threads: int | None,
) -> None:
    """Cut the object out of photos, and print where the cutouts are.

    Without a click or a box it is what stands out: mobigen cutout photo.jpg -o cut.png
    """
    prompt = _Prompt(clicks, others, box, strokes)
    if prompt and (everything or len(photos) > 1):
        raise InputError("clicks and boxes belong to one photo and one object; leave them out, or give one photo")
    if mask and everything:
        raise InputError("--mask and --everything exclude each other; masks.json holds the masks of everything")
    target = Target(output, (".png",), len(photos), "photos", photos)
    if everything and target.file:
        raise InputError(f"-o {output} is a file, --everything makes a folder; give a folder")
    predictor = _open(model, backend, threads, flip_test=not everything)  # which asks hundreds of times

    def cut(number: int, photo: str) -> Path:
        predictor.set_image(_read(photo))
        stem = Path(photo).stem
        if everything:
            return _write_everything(predictor, target, target.folder if len(photos) == 1 else target.path(stem))
        return _write_one(predictor, prompt, mask, target.path(f"{stem}_cutout.png"))

    run_batch(photos, cut, target)


def _open(model: str, backend: str, threads: int | None, flip_test: bool) -> CutoutPredictor:
    from mobigen.pipelines.cutout import CutoutPredictor

    return CutoutPredictor.from_bundle(bundle_for("cutout", model), backend, threads, flip_test=flip_test)


class _Prompt:
    """What was clicked, as `predict` takes it; false if nothing was."""

    def __init__(self, clicks: Sequence[str], others: Sequence[str], box: str | None, strokes: Sequence[str]) -> None:
        """Read the options. Raises InputError for one that is not of its form."""
        on = [_numbers(each, 2, "a click") for each in clicks]
        on += [point for each in strokes for point in _stroke(each)]
        off = [_numbers(each, 2, "a click") for each in others]
        self.points = [*on, *off]
        self.labels = [1] * len(on) + [0] * len(off)
        self.box = None if box is None else _numbers(box, 4, "a box")

    def __bool__(self) -> bool:
        return bool(self.points) or self.box is not None

    def logits(self, predictor: CutoutPredictor) -> np.ndarray:
        """Those of the best mask, of the photo's size."""
        if not self:
            return predictor.saliency(return_logits=True)[0]
        points, labels = (self.points, self.labels) if self.points else (None, None)
        masks, _, _ = predictor.predict(points, labels, self.box, multimask_output=False, return_logits=True)
        return masks[0]


def _stroke(text: str) -> list[Point]:
    from mobigen.pipelines.clicks import thin_stroke

    return thin_stroke([_numbers(each, 2, "a point of a stroke") for each in text.split(":")], STROKE_POINTS)


def _read(photo: str) -> np.ndarray:
    import numpy as np

    from mobigen.media import open_photo

    return np.asarray(open_photo(photo))


def _write_one(predictor: CutoutPredictor, prompt: _Prompt, mask: bool, path: Path) -> Path:
    import numpy as np
    from PIL import Image

    from mobigen.media import save_image

    logits = prompt.logits(predictor)
    if not (logits > 0).any():
        raise InputError("no object was found; click on it with --click X,Y or draw a --box X0,Y0,X1,Y1 around it")
    pixels = np.where(logits > 0, np.uint8(255), np.uint8(0)) if mask else predictor.cut(logits)
    parameters = {"model": predictor.model, "version": predictor.version}
    save_image(Image.fromarray(pixels), path, parameters)
    return path


def _write_everything(predictor: CutoutPredictor, target: Target, folder: Path) -> Path:
    from PIL import Image

    from mobigen.media import save_image, write_file
    from mobigen.pipelines.everything import run_lengths

    found = predictor.everything()
    if not found:
        raise InputError("no object was found that is sure enough; click on one with --click X,Y")
    make_folder(folder)
    paths = [folder / OBJECT.format(number) for number in range(len(found))]
    left = _of_an_earlier_call(folder) - set(paths)
    for path in (*paths, *left, folder / LISTING):
        target.guard(path)
    parameters = {"model": predictor.model, "version": predictor.version}
    annotations: list[dict[str, Any]] = []
    for number, (each, path) in enumerate(zip(found, paths, strict=True)):
        save_image(Image.fromarray(predictor.cut(each["segmentation"])), path, parameters)
        annotations.append({**each, "id": number, "segmentation": run_lengths(each["segmentation"])})
    height, width = predictor.original_size
    listing = {"image": {"width": width, "height": height}, "annotations": annotations}
    for path in left:
        path.unlink()
    write_file(folder / LISTING, (json.dumps(listing) + "\n").encode())
    return folder / LISTING


def _of_an_earlier_call(folder: Path) -> set[Path]:
    """The cutouts that the folder's listing has, but for those that a person has saved anew since."""
    try:
        listed = json.loads((folder / LISTING).read_bytes())["annotations"]
        paths = {folder / OBJECT.format(each["id"]) for each in listed}
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is not ours
        return set()
    return {path for path in paths if _is_ours(path)}


def _is_ours(path: Path) -> bool:
    from mobigen.media import read_parameters

    try:
        return bool(read_parameters(path))
    except InputError:
        return False
