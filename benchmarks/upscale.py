"""Time of every upscaler at 640x360 through LiteRT, beside bicubic by OpenCV, FSRCNN and a residual network.

python -m benchmarks.upscale
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch

from benchmarks.measure import in_rounds, median, print_table, stay_on_cores, write_record
from benchmarks.upscale_rivals import FSRCNN, ResidualUpscaler
from mobigen.errors import MobigenError
from mobigen.export.litert import convert
from mobigen.models.mfagan import AggregationGenerator
from mobigen.models.upscaler import SCALES, Upscaler
from mobigen.recipes.upscale import PLANS
from mobigen.runtime.litert import LiteRTComponent

RECORD = Path(__file__).with_name("upscale.json")
BICUBIC, SMALL, LARGE = "bicubic, OpenCV", "FSRCNN (random weights)", "residual 64x16 (random weights)"
REFERENCES = (BICUBIC, SMALL, LARGE)


@click.command()
@click.option("--threads", default=2, show_default=True, help="CPU threads, and cores that may be used.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each network; the median counts.")
@click.option("--scale", "scales", multiple=True, type=click.Choice(list(map(str, SCALES))), help="These alone.")
@click.option("--size", default=(640, 360), type=(int, int), show_default=True, help="Width and height of the picture.")
@click.option("--record", type=click.Path(path_type=Path), default=RECORD, show_default="benchmarks/upscale.json")
def main(threads: int, rounds: int, scales: tuple[str, ...], size: tuple[int, int], record: Path) -> None:
    """Measure, print a table and write a JSON record."""
    stay_on_cores(threads)
    cv2.setNumThreads(threads)
    try:
        values = {
            scale: measure(scale, threads, rounds, size) for scale in SCALES if not scales or str(scale) in scales
        }
    except MobigenError as error:
        raise click.ClickException(str(error)) from error
    write_record(record, threads, {"rounds": rounds, "size": size, "scales": values})
    print_table(list(_rows(values)))
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


def _rows(values: dict[int, dict[str, dict[str, float]]]) -> Iterator[list[str]]:
    yield ["network", "scale", "ms", "x bicubic", "x FSRCNN", "x residual 64x16"]
    for scale, each in values.items():
        for name, row in each.items():
            yield [name, f"x{scale}", f"{row['ms']:.4g}", *(f"{row[reference]:.3g}" for reference in REFERENCES)]


if __name__ == "__main__":
    main()
