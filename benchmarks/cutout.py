"""Time of the cutout bundle's clicks and of its graphs, beside Segment Anything's encoders with random weights.

python -m benchmarks.cutout
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.measure import in_rounds, median, print_table, stay_on_cores, write_record
from benchmarks.photo import draw_photo
from benchmarks.segment_anything import ENCODERS, encoder
from mobigen import load
from mobigen.errors import MobigenError
from mobigen.export.litert import convert
from mobigen.export.quantize import quantize
from mobigen.models.network import Network, load_network
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.runtime.litert import LiteRTComponent

KINDS = (ImageEncoder, ClickDecoder)
PRECISIONS = ("float32", "int8-dynamic")
PARTS = ("clicks", "graphs", "sam")
SIDE = 512  # pixels of the photo
RECORD = Path(__file__).with_name("cutout.json")


@click.command()
@click.option("--model", default="cutout", show_default=True, help="A name, or a bundle's folder with a slash in it.")
@click.option("--weights", type=click.Path(path_type=Path), help="Of the graphs; random if left out.")
@click.option("--threads", default=2, show_default=True, help="CPU threads, and cores that may be used.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each thing; the median counts.")
@click.option("--skip", multiple=True, type=click.Choice([*PARTS, *ENCODERS]), help="Leave out; may be given again.")
@click.option("--record", type=click.Path(path_type=Path), default=RECORD, show_default="benchmarks/cutout.json")
def main(model: str, weights: Path | None, threads: int, rounds: int, skip: tuple[str, ...], record: Path) -> None:
    """Measure, print tables and write a JSON record."""
    stay_on_cores(threads)
    values: dict[str, Any] = {"rounds": rounds, "model": model, "weights": str(weights or "random")}
    try:
        if "clicks" not in skip:
            values["clicks"] = measure_clicks(model, threads, rounds)
            print_table(list(_click_rows(values["clicks"])))
        values["networks"] = measure_graphs(weights, threads, rounds) if "graphs" not in skip else {}
        values["networks"] |= measure_encoders([] if "sam" in skip else set(ENCODERS) - set(skip), threads, rounds)
    except MobigenError as error:
        raise click.ClickException(str(error)) from error
    write_record(record, threads, values)
    if values["networks"]:
        print_table(list(_rows(values["networks"])))
    print(f"\nrecord: {record}")


def measure_clicks(model: str, threads: int, rounds: int) -> dict[str, float]:
    """Seconds that a person waits for an answer, the bundle loaded; and with a flip test."""
    once, twice = (_clicks(load(model, threads=threads, flip_test=flip_test)) for flip_test in (False, True))
    actions = once | {f"{name}, flip test": action for name, action in twice.items()}
    return {name: median(seconds) for name, seconds in in_rounds(actions, rounds).items()}


def _clicks(predictor: Any) -> dict[str, Callable[[], object]]:
    """What a person does with a `CutoutPredictor`."""
    photo = draw_photo(SIDE, SIDE)
    click, beside = (SIDE // 2, SIDE // 2), (SIDE // 8, SIDE // 8)

    def first() -> np.ndarray:
        predictor.set_image(photo)
        return predictor.predict([click], [1], multimask_output=False)[2]

    def without() -> None:
        predictor.set_image(photo)
        predictor.saliency()

    seen = first()
    both = {"point_coords": [click, beside], "point_labels": [1, 0], "multimask_output": False}
    return {
        "a photo, its first mask": without,
        "a photo and a click": first,
        "a further click": lambda: predictor.predict(mask_input=seen, **both),
    }


def measure_graphs(weights: Path | None, threads: int, rounds: int) -> dict[str, Any]:
    """Seconds, bytes and parameters of each of our networks in each precision."""
    values: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        actions: dict[str, Callable[[], object]] = {}
        for kind in KINDS:
            network = _network(kind, weights)
            for precision in PRECISIONS:
                name = f"{kind.component}_{precision}"
                path = Path(folder, f"{name}.tflite")
                _convert(network, path, precision)
                actions[name] = _action(network, path, threads)
                values[name] = {"bytes": path.stat().st_size, "parameters": _count(network)}
        for name, seconds in in_rounds(actions, rounds).items():
            values[name]["seconds"] = median(seconds)
    return values


def measure_encoders(names: Collection[str], threads: int, rounds: int) -> dict[str, Any]:
    """The same of Segment Anything's image encoders, one after the other, since they are large."""
    values = {}
    for name in sorted(names):
        run, count = encoder(name, threads)
        seconds = in_rounds({name: run}, rounds)[name]
        values[name] = {"bytes": 4 * count, "parameters": count, "seconds": median(seconds)}
    return values


def _network(kind: type[Network], weights: Path | None) -> Network:
    torch.manual_seed(0)
    network = kind() if weights is None else load_network(weights / kind.component)
    return network.eval().fuse()


def _convert(network: Network, path: Path, precision: str) -> None:
    if precision == "float32":
        convert(network, path)
    else:
        quantize(path.with_name(f"{network.component}_float32.tflite"), path, precision, [])


def _action(network: Network, path: Path, threads: int) -> Callable[[], object]:
    component = LiteRTComponent(path, network.signature(), threads)
    inputs = {name: value.numpy() for name, value in network.example_inputs(torch.Generator().manual_seed(0)).items()}
    return lambda: component(**inputs)


def _count(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _click_rows(seconds: dict[str, float]) -> Iterator[list[str]]:
    yield [f"a photo of {SIDE}x{SIDE}, all loaded", "ms"]
    for name, each in seconds.items():
        yield [name, f"{1e3 * each:.4g}"]


def _rows(values: dict[str, Any]) -> Iterator[list[str]]:
    yield ["network", "M parameters", "MB", "ms"]
    for name, each in values.items():
        yield [name, f"{each['parameters'] / 1e6:.3g}", f"{each['bytes'] / 1e6:.3g}", f"{1e3 * each['seconds']:.4g}"]


if __name__ == "__main__":
    main()
