"""From shell to file: the README's commands, each in a new process every time; wall time and peak memory.

python -m benchmarks.shell
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from PIL import Image

from benchmarks.measure import print_table, run_in_rounds, stay_on_cores, write_record
from benchmarks.photo import draw_photo
from mobigen.errors import MobigenError
from mobigen.registry import MODELS

RECORD = Path(__file__).with_name("shell.json")
LARGE, SMALL = (512, 512), (640, 360)  # width and height of what is cut out, and of what is enlarged


@click.command()
@click.argument("models", nargs=-1, type=click.Choice(list(MODELS)))
@click.option("--threads", default=2, show_default=True, help="CPU threads, and cores that may be used.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each command; the median counts.")
@click.option("--record", type=click.Path(path_type=Path), default=RECORD, show_default="benchmarks/shell.json")
def main(models: tuple[str, ...], threads: int, rounds: int, record: Path) -> None:
    """Measure the commands of MODELS, of all if none is named; print a table and write a JSON record."""
    stay_on_cores(threads)
    with tempfile.TemporaryDirectory() as folder:
        words = commands(models or tuple(MODELS), Path(folder))
        ending = ("--threads", str(threads))
        try:
            values = run_in_rounds(
                {name: (sys.executable, "-m", "mobigen", *each, *ending) for name, each in words.items()}, rounds
            )
        except MobigenError as error:
            raise click.ClickException(str(error)) from error
    write_record(record, threads, {"rounds": rounds, "commands": values})
    print_table(list(_rows(values)))
    print(f"\nrecord: {record}")


def commands(models: Sequence[str], folder: Path) -> dict[str, list[str]]:
    """What is measured -> the words of a command, on pictures that are drawn into the folder."""
    large, small, output = folder / "large.jpg", folder / "small.jpg", ["-o", str(folder / "result.png")]
    for path, size in ((large, LARGE), (small, SMALL)):
        Image.fromarray(draw_photo(*size)).save(path, quality=95)
    found = {
        "sticker, 4 steps": ["image", "a red apple", "--steps", "4", "--seed", "7", *output],
        "sticker, 1 step": ["image", "a red apple", "--steps", "1", "--seed", "7", *output],
        "cutout, what stands out": ["cutout", str(large), *output],
        "cutout, a click": ["cutout", str(large), "--click", "256,256", *output],
    }
    for model in MODELS.values():
        if model.task == "upscale":
            found[model.name] = ["upscale", str(small), "--model", model.name, *output]
    return {name: words for name, words in found.items() if name.split(",")[0] in models}


def _rows(values: dict[str, Any]) -> Iterator[list[str]]:
    yield ["from shell to PNG", "seconds", "first", "peak MB"]
    for name, row in values.items():
        yield [name, f"{row['seconds']:.3g}", f"{row['first_seconds']:.3g}", f"{row['peak_bytes'] / 1e6:.0f}"]


if __name__ == "__main__":
    main()
