"""Time and memory of the sticker model: from shell to picture, each component, torch, and a larger model.

python -m benchmarks.sticker
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from benchmarks.measure import in_rounds, median, print_table, run_in_rounds, stay_on_cores, write_record
from mobigen import load
from mobigen.bench.inputs import random_inputs
from mobigen.bench.timing import time_component
from mobigen.bundle import Bundle, load_bundle
from mobigen.errors import MobigenError
from mobigen.runtime import load_component

PARTS = ("shell", "components", "torch", "diffusion")
PROMPT = "a red apple"
STEPS = 4
RECORD = Path(__file__).with_name("sticker.json")


@click.command()
@click.option("--model", default="sticker", show_default=True, help="A name, or a bundle's folder with a slash.")
@click.option("--threads", default=2, show_default=True, help="CPU threads, and cores that may be used.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each thing; the median counts.")
@click.option("--skip", multiple=True, type=click.Choice(PARTS), help="Leave a part out; may be given again.")
@click.option("--record", type=click.Path(path_type=Path), default=RECORD, show_default="benchmarks/sticker.json")
def main(model: str, threads: int, rounds: int, skip: tuple[str, ...], record: Path) -> None:
    """Measure, print a table and write a JSON record."""
    stay_on_cores(threads)
    parts = [part for part in PARTS if part not in skip]
    try:
        values: dict[str, Any] = {"model": model, "rounds": rounds, "steps": STEPS}
        if "shell" in parts:
            values["shell"] = measure_shell(model, threads, rounds)
        if "components" in parts:
            values["components"] = measure_components(load_bundle(model), parts, threads, rounds)
        values["picture"] = measure_pictures(model, parts, threads, rounds)
    except MobigenError as error:
        raise click.ClickException(str(error)) from error
    write_record(record, threads, values)
    print_values(values)
    print(f"\nrecord: {record}")


def measure_shell(model: str, threads: int, rounds: int) -> dict[str, float]:
    """`mobigen image` in a new process: start, load, draw, write the file."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "mobigen", "image", PROMPT, "--model", model, "--steps", str(STEPS)),
            *("--seed", "7", "--threads", str(threads), "-o", f"{folder}/picture.png"),
        ]
        return run_in_rounds({"shell": command}, rounds)["shell"]


def measure_components(bundle: Bundle, parts: list[str], threads: int, rounds: int) -> dict[str, Any]:
    """Load, first run and median run of every component in milliseconds, on random inputs."""
    values: dict[str, Any] = {}
    for name, component in bundle.metadata.components.items():
        values[name] = {"precision": component.backends["litert"].precision}
        for backend in ("litert", "torch") if "torch" in parts else ("litert",):
            timings = [
                time_component(
                    lambda name=name, backend=backend: load_component(bundle, name, backend, threads),  # type: ignore[misc]
                    random_inputs(component.signature),
                    threads,
                )
                for _ in range(rounds)
            ]
            values[name][backend] = {
                key: median([getattr(timing, key) for timing in timings])
                for key in ("load_ms", "first_run_ms", "median_run_ms")
            }
    return values


def measure_pictures(model: str, parts: list[str], threads: int, rounds: int) -> dict[str, Any]:
    """Seconds of one picture with everything loaded, all contestants in the same rounds."""
    actions: dict[str, Callable[[], object]] = {}
    for backend in ("litert", "torch") if "torch" in parts else ("litert",):
        pipeline = load(model, backend=backend, threads=threads)
        actions[backend] = lambda pipeline=pipeline: pipeline(PROMPT, num_inference_steps=STEPS, seed=7)  # type: ignore[misc]
    if "diffusion" in parts:
        from benchmarks.stable_diffusion import evaluations

        actions |= {f"diffusion_{name}": action for name, action in evaluations(threads).items()}
    seconds = {name: median(values) for name, values in in_rounds(actions, rounds).items()}
    return seconds | _ratios(seconds)


def _ratios(seconds: dict[str, float]) -> dict[str, float]:
    values = {}
    if "torch" in seconds:
        values["torch_over_litert"] = median([seconds["torch"] / seconds["litert"]])
    if "diffusion_unet" in seconds:
        from benchmarks.stable_diffusion import STEPS as EVALUATIONS

        picture = EVALUATIONS * seconds["diffusion_unet"] + seconds["diffusion_decoder"]
        values |= {
            "diffusion": median([picture]),
            "diffusion_over_litert": median([picture / seconds["litert"]]),
        }
    return values


def print_values(values: dict[str, Any]) -> None:
    """The record as tables."""
    if "shell" in values:
        print("shell to PNG, {steps} steps: {seconds:.2f} s".format(steps=STEPS, **values["shell"]))
        print(f"peak memory: {values['shell']['peak_bytes'] / 1e6:.0f} MB\n")
    if "components" in values:
        print_table(list(_component_rows(values["components"])))
        print()
    print_table(list(_picture_rows(values["picture"])))


def _component_rows(components: dict[str, Any]) -> Iterator[list[str]]:
    yield ["component", "backend", "precision", "load ms", "first run ms", "run ms"]
    for name, values in components.items():
        for backend, precision in (("litert", values["precision"]), ("torch", "float32")):
            if backend in values:
                times = [f"{values[backend][key]:.4g}" for key in ("load_ms", "first_run_ms", "median_run_ms")]
                yield [name, backend, precision, *times]


def _picture_rows(picture: dict[str, float]) -> Iterator[list[str]]:
    names = {
        "litert": f"sticker, {STEPS} steps, LiteRT",
        "torch": f"sticker, {STEPS} steps, torch",
        "diffusion": "shape of Stable Diffusion 1.5, 20 steps (random weights, speed only)",
    }
    yield ["a picture, all loaded", "seconds", "ratio"]
    for key, name in names.items():
        if key in picture:
            yield [name, f"{picture[key]:.4g}", f"{picture[key] / picture['litert']:.3g}"]


if __name__ == "__main__":
    main()
