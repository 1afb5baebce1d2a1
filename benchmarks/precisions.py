"""Every precision of every component: size, agreement with its network, speed, and which one tuning would keep.

python -m benchmarks.precisions sticker weights/sticker
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.measure import print_table, stay_on_cores, write_record
from mobigen.errors import MobigenError
from mobigen.export.candidates import litert_candidates
from mobigen.export.engine import PLANS
from mobigen.export.inputs import CALIBRATION_PROMPTS, PARITY_PROMPTS
from mobigen.export.source import read_source
from mobigen.export.tune import Trial, tune
from mobigen.runtime.torch import TorchComponent


@click.command()
@click.argument("model")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option("--threads", default=2, show_default=True, help="CPU threads, and cores that may be used.")
@click.option("--rounds", default=5, show_default=True, help="Rounds over all precisions; the median counts.")
@click.option("--record", type=click.Path(path_type=Path), help="Where to write JSON; benchmarks/ if left out.")
def main(model: str, weights: Path, threads: int, rounds: int, record: Path | None) -> None:
    """Convert, measure, print a table and write a JSON record."""
    stay_on_cores(threads)
    trials: dict[str, Sequence[Trial]] = {}
    try:
        source = read_source(model, weights, PLANS[model])
        samples, calibration = source.record(PARITY_PROMPTS), source.record(CALIBRATION_PROMPTS)
        for name, network in source.networks.items():
            reference = TorchComponent(network, network.signature())
            candidates = litert_candidates(network, calibration[name], threads=threads)
            with tempfile.TemporaryDirectory() as folder:
                trials[name] = tune(reference, candidates, samples[name], Path(folder), rounds)
    except MobigenError as error:
        raise click.ClickException(str(error)) from error
    target = record or Path(__file__).with_name(f"precisions_{model}.json")
    values = {name: [asdict(each) for each in several] for name, several in trials.items()}
    write_record(target, threads, {"model": model, "rounds": rounds, "components": values})
    _print(trials)
    print(f"\nrecord: {target}")


def _print(trials: Mapping[str, Sequence[Trial]]) -> None:
    rows = [["component", "precision", "MB", "dB", "floor", "ms", "ratio", "kept"]]
    for component, several in trials.items():
        for each in several:
            size = "-" if each.bytes is None else f"{each.bytes / 1e6:.2f}"
            quality, speed, ratio = (
                "-" if value is None else f"{value:.3g}" for value in (each.decibels, each.milliseconds, each.ratio)
            )
            rows.append(
                [component, each.name, size, quality, f"{each.floor:g}", speed, ratio, "*" if each.kept else ""]
            )
    print_table(rows)
    for component, several in trials.items():
        for each in several:
            if each.decibels is None:
                print(f"{component} {each.name}: {each.reason}")


if __name__ == "__main__":
    main()
