"""The bench command: time and memory of a bundle, here or on a connected phone, as a table or a record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobigen.cli.group import Command, means_folder, split_names
from mobigen.cli.table import print_table
from mobigen.errors import InputError

if TYPE_CHECKING:
    from mobigen.bench.record import Record

__all__ = ["bench"]

COLUMNS = {  # field of a measurement -> head; a table has those that its measurements have
    "load_ms": "load ms", "first_run_ms": "first ms", "median_run_ms": "median ms", "p90_run_ms": "p90 ms",
    "mean_run_ms": "mean ms", "fastest_run_ms": "min ms", "slowest_run_ms": "max ms", "deviation_ms": "std ms",
    "peak_bytes": "peak MB", "increase_bytes": "model MB",
}  # fmt: skip


@click.command(cls=Command)
@click.argument("model", metavar="BUNDLE")
@click.option("--backend", default="litert", show_default=True, help="litert, torch or coreml.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; the cores at hand, at most 4, if left out.")
@click.option("--runs", type=int, default=50, show_default=True, help="After the first one; at least 20.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Then run each part so long without a pause.")
@click.option("--components", metavar="NAME[,...]", help="These alone, without the pipeline.")
@click.option(
    "--adb", "serial", is_flag=False, flag_value="", metavar="[SERIAL]",
    help="Measure on a connected Android phone instead; its serial number if there are several.",
)  # fmt: skip
@click.option(
    "--benchmark-model", "tool", metavar="PATH", envvar="MOBIGEN_BENCHMARK_MODEL", show_envvar=True,
    help="LiteRT's benchmark_model, built for the phone.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON.")
@click.option("-o", "output", type=click.Path(path_type=Path), metavar="FILE", help="Write the record there.")
def bench(
    model: str,
    backend: str,
    threads: int | None,
    runs: int,
    minutes: float | None,
    components: str | None,
    serial: str | None,
    tool: str | None,
    as_json: bool,
    output: Path | None,
) -> None:
    """Measure how fast a bundle is and how much memory it takes.

    BUNDLE is a name of `mobigen models`, or a bundle's folder. Each component, and then the pipeline, is loaded and
    run in a fresh process, on random inputs from a fixed seed. Write --adb after BUNDLE.
    """
    from mobigen.bundle import load_bundle

    bundle, chosen = load_bundle(Path(model) if means_folder(model) else model), split_names(components)

    def tell(line: str) -> None:
        click.echo(f"measuring {line}", err=True)

    if serial is None:
        from mobigen.bench.protocol import bench as bench_here

        record = bench_here(bundle, backend, threads, runs, minutes, chosen, tell)
    else:
        from mobigen.bench.android import bench_on_phone

        if backend != "litert" or minutes:
            raise InputError("--adb measures the litert backend, and no sustained minutes; leave the others out")
        record = bench_on_phone(bundle, serial or None, tool, threads, runs, chosen, tell)
    _give(record, as_json, output)


def _give(record: Record, as_json: bool, output: Path | None) -> None:
    from mobigen.bench.record import write_record

    if as_json:
        click.echo(json.dumps(asdict(record), indent=2))
    else:
        _show(record)
    if output:
        write_record(record, output)  # last: what was measured is shown even where this fails
        click.echo(output, err=as_json)


def _show(record: Record) -> None:
    machine = record.machine
    place = " ".join(str(machine[key]) for key in ("device", "processor") if key in machine)
    click.echo(f"{record.bundle['name']} {record.bundle['version']}, {record.backend}, {_threads(record.threads)}")
    click.echo(f"on {place}, {machine['cores']} cores, {machine['system']}")
    parts = dict(record.components)
    if record.pipeline:
        parts[f"pipeline, {record.pipeline['what']}"] = record.pipeline
    warm = not all(each.get("cold", True) for each in parts.values())
    click.echo(f"{record.runs} runs after the first{', files perhaps cached' if warm else ''}; {record.date}\n")
    shown = [field for field in COLUMNS if any(each.get(field) is not None for each in parts.values())]
    rows = [["", "precision", *(COLUMNS[field] for field in shown)]]
    for name, each in parts.items():
        precision = record.bundle["graphs"].get(name, {}).get("precision", "")
        rows.append([name, precision, *(_cell(field, each.get(field)) for field in shown)])
    print_table(rows, names=2)
    for line in _sustained(parts):
        click.echo(line)


def _threads(number: int) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"


def _cell(field: str, value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value / 1e6:.1f}" if field.endswith("bytes") else f"{value:.4g}"


def _sustained(parts: Mapping[str, Any]) -> Iterator[str]:
    """A line for each part that ran without a pause."""
    found = {name: each["sustained"] for name, each in parts.items() if each.get("sustained")}
    if found:
        yield "\nwithout a pause, median ms of each half minute"
    for name, each in found.items():
        windows = " ".join(f"{value:.4g}" for value in each["window_ms"])
        yield f"{name}: {windows} (the last is {each['slowdown']:.2f} times the first)"
