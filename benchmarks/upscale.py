"""Time of every upscaler at 640x360 through LiteRT, beside bicubic by OpenCV, FSRCNN and a residual network.

And the memory of `mobigen upscale` on photos of growing size. python -m benchmarks.upscale
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.measure import in_rounds, median, print_table, run_command, stay_on_cores, write_record
from benchmarks.upscale_rivals import FSRCNN, ResidualUpscaler
from mobigen.errors import MobigenError
from mobigen.export.litert import convert
from mobigen.export.tasks.upscale import draw_picture
from mobigen.models.mfagan import AggregationGenerator
from mobigen.models.upscaler import SCALES, Upscaler
from mobigen.recipes.upscale import PLANS
from mobigen.runtime.litert import LiteRTComponent

RECORD = Path(__file__).with_name("upscale.json")
BICUBIC, SMALL, LARGE = "bicubic, OpenCV", "FSRCNN (random weights)", "residual 64x16 (random weights)"
REFERENCES = (BICUBIC, SMALL, LARGE)
PARTS = ("times", "memory")
MODEL = "upscale-x2"  # whose memory is measured
PHOTOS = {3: (2000, 1500), 12: (4000, 3000), 48: (8000, 6000)}  # megapixels -> width and height


@click.command()
@click.option("--threads", default=2, show_default=True, help="CPU threads, and cores that may be used.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each network; the median counts.")
@click.option("--scale", "scales", multiple=True, type=click.Choice(list(map(str, SCALES))), help="These alone.")
@click.option("--size", default=(640, 360), type=(int, int), show_default=True, help="Width and height of the picture.")
@click.option("--skip", multiple=True, type=click.Choice(PARTS), help="Leave a part out; may be given again.")
@click.option("--record", type=click.Path(path_type=Path), default=RECORD, show_default="benchmarks/upscale.json")
def main(
    threads: int, rounds: int, scales: tuple[str, ...], size: tuple[int, int], skip: tuple[str, ...], record: Path
) -> None:
    """Measure, print tables and write a JSON record."""
    stay_on_cores(threads)
    cv2.setNumThreads(threads)
    values: dict[str, Any] = {"rounds": rounds, "size": size}
    try:
        if "times" not in skip:
            chosen = [scale for scale in SCALES if not scales or str(scale) in scales]
            values["scales"] = {scale: measure(scale, threads, rounds, size) for scale in chosen}
            print_table(list(_rows(values["scales"])))
        if "memory" not in skip:
            values["memory"] = measure_memory(MODEL, threads)
            print_table(list(_memory_rows(values["memory"])))
    except MobigenError as error:
        raise click.ClickException(str(error)) from error
    write_record(record, threads, values)
    print(f"\nrecord: {record}")


def networks(scale: int) -> dict[str, Upscaler]:
    """All that enlarge by `scale`, as they are deployed; weights are random, time does not depend on them."""
    ours = {name: plan.kind(**plan.config) for name, plan in PLANS.items() if plan.config["scale"] == scale}
    if scale == 4:
        ours["upscale-x4-photo"] = AggregationGenerator(scale)
    rivals: dict[str, Upscaler] = {SMALL: FSRCNN(scale), LARGE: ResidualUpscaler(scale)}
    return {name: network.eval().fuse() for name, network in {**ours, **rivals}.items()}


def measure(scale: int, threads: int, rounds: int, size: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Name -> milliseconds of a picture, and how many times those of each reference they are."""
    width, height = size
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    large = (width * scale, height * scale)
    actions: dict[str, Callable[[], Any]] = {
        BICUBIC: partial(cv2.resize, picture, large, interpolation=cv2.INTER_CUBIC)
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, network in networks(scale).items():
            actions[name] = _action(network.at_tile(height, width), Path(folder, f"{len(actions)}.tflite"), threads)
        seconds = {name: median(times) for name, times in in_rounds(actions, rounds).items()}
    return {
        name: {"ms": median([1e3 * value])} | {each: median([value / seconds[each]]) for each in REFERENCES}
        for name, value in seconds.items()
    }


def _action(network: Upscaler, path: Path, threads: int) -> Callable[[], Any]:
    convert(network, path)
    drawn = network.example_inputs(torch.Generator().manual_seed(0))
    component = LiteRTComponent(path, network.signature(), threads)
    return partial(component, **{name: value.numpy() for name, value in drawn.items()})


def measure_memory(model: str, threads: int, photos: Mapping[int, tuple[int, int]] = PHOTOS) -> dict[int, Any]:
    """Megapixels -> seconds and peak resident bytes of `mobigen upscale` on such a JPEG, from shell to PNG."""
    values = {}
    for megapixels, size in photos.items():
        with tempfile.TemporaryDirectory() as folder:
            photo = Path(folder, "photo.jpg")
            _draw_photo(*size).save(photo, quality=90)
            options = ["--model", model, "--threads", str(threads), "-o", f"{folder}/large.png"]
            seconds, peak = run_command([sys.executable, "-m", "mobigen", "upscale", str(photo), *options])
        values[megapixels] = {"size": size, "seconds": median([seconds]), "peak_bytes": peak}
    return values


def _draw_photo(width: int, height: int) -> Image.Image:
    """One drawn picture, laid side by side."""
    across, down = -(-width // 2000), -(-height // 1500)
    drawn = draw_picture(-(-width // across), -(-height // down), seed=0)
    return Image.fromarray(np.tile(drawn, (down, across, 1))[:height, :width])


def _memory_rows(values: dict[int, Any]) -> Iterator[list[str]]:
    yield ["photo", "megapixels", "seconds", "peak MB"]
    for megapixels, row in values.items():
        width, height = row["size"]
        yield [f"{width}x{height}", str(megapixels), f"{row['seconds']:.4g}", f"{row['peak_bytes'] / 1e6:.0f}"]


def _rows(values: dict[int, dict[str, dict[str, float]]]) -> Iterator[list[str]]:
    yield ["network", "scale", "ms", "x bicubic", "x FSRCNN", "x residual 64x16"]
    for scale, each in values.items():
        for name, row in each.items():
            yield [name, f"x{scale}", f"{row['ms']:.4g}", *(f"{row[reference]:.3g}" for reference in REFERENCES)]


if __name__ == "__main__":
    main()
