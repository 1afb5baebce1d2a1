"""Every precision of every component: size, agreement with its network, speed. The engine's PLANS follow it.

python -m benchmarks.precisions sticker weights/sticker
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.measure import in_rounds, median, print_table, stay_on_cores, write_record
from mobigen.bench.timing import time_component
from mobigen.errors import MobigenError
from mobigen.export.engine import PLANS
from mobigen.export.inputs import CALIBRATION_PROMPTS, PARITY_PROMPTS, Arrays
from mobigen.export.litert import convert
from mobigen.export.parity import compare, floor_of
from mobigen.export.quantize import PRECISIONS, quantize
from mobigen.export.source import read_source
from mobigen.models.network import Network
from mobigen.runtime.litert import LiteRTComponent
from mobigen.runtime.torch import TorchComponent

RUNS = 5  # of a graph in a round


@click.command()
@click.argument("model")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--threads", default=2, show_default=True, help="CPU threads, and cores that may be used.")
@click.option("--rounds", default=5, show_default=True, help="Rounds over all precisions; the median counts.")
@click.option("--record", type=click.Path(path_type=Path), help="Where to write JSON; benchmarks/ if left out.")
def main(model: str, weights: Path, threads: int, rounds: int, record: Path | None) -> None:
    """Convert, measure, print a table and write a JSON record."""
    stay_on_cores(threads)
    try:
        source = read_source(model, weights, PLANS[model])
        samples, calibration = source.record(PARITY_PROMPTS), source.record(CALIBRATION_PROMPTS)
        values = {
            name: measure_component(network, samples[name], calibration[name], threads, rounds)
            for name, network in source.networks.items()
        }
    except MobigenError as error:
        raise click.ClickException(str(error)) from error
    target = record or Path(__file__).with_name(f"precisions_{model}.json")
    write_record(target, threads, {"model": model, "rounds": rounds, "components": values})
    _print(values)
    print(f"\nrecord: {target}")


def measure_component(
    network: Network, samples: Sequence[Arrays], calibration: Sequence[Arrays], threads: int, rounds: int
) -> dict[str, Any]:
    """Precision -> bytes, dB of the worst output, times in milliseconds."""
    signature = network.signature()
    values: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {precision: Path(folder, f"{precision}.tflite") for precision in PRECISIONS}
        convert(network, paths["float32"])
        for precision in PRECISIONS.keys() - {"float32"}:
            quantize(paths["float32"], paths[precision], precision, calibration)
        graphs = {precision: LiteRTComponent(path, signature, threads) for precision, path in paths.items()}
        seconds = in_rounds(
            {
                precision: lambda graph=graph: [graph(**samples[0]) for _ in range(RUNS)]  # type: ignore[misc]
                for precision, graph in graphs.items()
            },
            rounds,
        )
        for precision, path in paths.items():
            timing = time_component(lambda path=path: LiteRTComponent(path, signature, threads), samples[0], threads)  # type: ignore[misc]
            values[precision] = {
                "bytes": path.stat().st_size,
                "parity_db": min(compare(TorchComponent(network, signature), graphs[precision], samples).values()),
                "load_ms": timing.load_ms,
                "first_run_ms": timing.first_run_ms,
                "run_ms": median([1e3 * each / RUNS for each in seconds[precision]]),
            }
    return values


def _print(values: dict[str, Any]) -> None:
    rows = [["component", "precision", "MB", "dB", "floor", "load ms", "first run ms", "run ms"]]
    for component, precisions in values.items():
        for precision, each in precisions.items():
            times = [f"{each[key]:.3g}" for key in ("load_ms", "first_run_ms", "run_ms")]
            rows.append(
                [
                    *(component, precision, f"{each['bytes'] / 1e6:.2f}"),
                    *(f"{each['parity_db']:.1f}", f"{floor_of(precision):g}", *times),
                ]
            )
    print_table(rows)


if __name__ == "__main__":
    main()
