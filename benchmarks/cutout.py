"""Time and size of the cutout model's graphs, beside Segment Anything's image encoders with random weights.

python -m benchmarks.cutout
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks.measure import in_rounds, median, print_table, stay_on_cores, write_record
from benchmarks.segment_anything import ENCODERS, encoder
from mobigen.errors import MobigenError
from mobigen.export.litert import convert
from mobigen.export.quantize import quantize
from mobigen.models.network import Network, load_network
from mobigen.models.segmenter import ClickDecoder, ImageEncoder
from mobigen.runtime.litert import LiteRTComponent

KINDS = (ImageEncoder, ClickDecoder)
PRECISIONS = ("float32", "int8-dynamic")
RECORD = Path(__file__).with_name("cutout.json")


@click.command()
@click.option("--weights", type=click.Path(path_type=Path), help="A folder of components; random weights if left out.")
@click.option("--threads", default=2, show_default=True, help="CPU threads, and cores that may be used.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each thing; the median counts.")
@click.option("--skip", multiple=True, type=click.Choice(["sam", *ENCODERS]), help="Leave out; may be given again.")
@click.option("--record", type=click.Path(path_type=Path), default=RECORD, show_default="benchmarks/cutout.json")
def main(weights: Path | None, threads: int, rounds: int, skip: tuple[str, ...], record: Path) -> None:
    """Measure, print a table and write a JSON record."""
    stay_on_cores(threads)
    try:
        values = measure(weights, threads, rounds, skip)
    except MobigenError as error:
        raise click.ClickException(str(error)) from error
    write_record(record, threads, {"rounds": rounds, "weights": str(weights or "random"), **values})
    print_table(list(_rows(values)))
    print(f"\nrecord: {record}")


def measure(weights: Path | None, threads: int, rounds: int, skip: tuple[str, ...]) -> dict[str, Any]:
    """Seconds, bytes and parameters of each network; Segment Anything's one after the other, since they are large."""
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
    for name in ENCODERS:
        if "sam" not in skip and name not in skip:
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


def _rows(values: dict[str, Any]) -> Iterator[list[str]]:
    yield ["network", "M parameters", "MB", "ms"]
    for name, each in values.items():
        yield [name, f"{each['parameters'] / 1e6:.3g}", f"{each['bytes'] / 1e6:.3g}", f"{1e3 * each['seconds']:.4g}"]


if __name__ == "__main__":
    main()
