"""The export command: weights -> a bundle, with a table of sizes and of agreement with the networks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobigen.cli.group import Command, needs_extra
from mobigen.errors import InputError
from mobigen.registry import find_model

if TYPE_CHECKING:
    from mobigen.export.source import Source

__all__ = ["export"]

FOLDER = click.Path(path_type=Path)
BYTES = {"float32": 4, "float16": 2}  # of a weight; the other precisions store one


@click.command(cls=Command)
@click.argument("model")
@click.option(
    "--weights", type=FOLDER, multiple=True, metavar="DIR",
    help="The model's weights; weights/MODEL if left out. Given again, it serves for what the first lacks.",
)  # fmt: skip
@click.option("--to", "target", default="litert", show_default=True, help="The runtime to export for.")
@click.option(
    "--precision", "precisions", multiple=True, metavar="COMPONENT=NAME",
    help="Of one component, such as denoiser=float16; may be given again. Left out: as measured best.",
)  # fmt: skip
@click.option("--output-dir", type=FOLDER, metavar="DIR", help="The bundle; export/MODEL if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--dry-run", is_flag=True, help="Check the weights and print the plan; write nothing.")
def export(
    model: str,
    weights: Sequence[Path],
    target: str,
    precisions: Sequence[str],
    output_dir: Path | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Export a model's weights to a bundle, and measure how closely it follows the networks.

    A graph that does not follow its network fails the export, and an older bundle stays.
    """
    name = find_model(model).name
    if target != "litert":
        raise InputError(f"cannot export to {target} yet; accepted: litert")
    chosen = dict(map(_read_precision, precisions))
    with needs_extra("export", "exporting"):
        from mobigen.export.engine import PLANS, REPORT, export_model, plan_export
        from mobigen.export.source import gather_weights
    folders, out = weights or [Path("weights", name)], output_dir or Path("export", name)
    with gather_weights(folders, PLANS[name]) as gathered:
        if dry_run:
            _show_plan(_list_plan(*plan_export(name, gathered, out, chosen)), as_json)
            return
        click.echo(f"exporting {name} from {', '.join(map(str, folders))}; this takes a minute", err=True)
        export_model(name, gathered, out, chosen)
    _show_report(json.loads((out / REPORT).read_text(encoding="utf-8")), as_json)
    click.echo(out, err=as_json)


def _read_precision(text: str) -> tuple[str, str]:
    component, sign, precision = text.partition("=")
    if not (component and sign and precision):
        raise InputError(f"--precision {text} is not COMPONENT=NAME, such as denoiser=float16")
    return component, precision


def _list_plan(plan: Mapping[str, str], source: Source) -> list[dict[str, Any]]:
    """The components as they would be exported."""
    weights = {name: sum(each.numel() for each in network.parameters()) for name, network in source.networks.items()}
    return [
        {"component": name, "precision": precision, "parameters": weights[name],
         "bytes_of_weights": weights[name] * BYTES.get(precision, 1)}
        for name, precision in plan.items()
    ]  # fmt: skip


def _show_plan(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """A graph is a little larger than its weights."""
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    cells = [
        [row["component"], row["precision"], f"{row['parameters'] / 1e6:.2f}", f"{row['bytes_of_weights'] / 1e6:.1f}"]
        for row in rows
    ]
    _print_table([["component", "precision", "M parameters", "MB of weights"], *cells])


def _show_report(report: Mapping[str, Any], as_json: bool) -> None:
    """Sizes, the worst agreement of a graph with its network, and the time of a run on the CPU."""
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    rows = [
        [graph["component"], graph["precision"], f"{graph['bytes'] / 1e6:.2f}",
         f"{min(graph['parity_db'].values()):.1f}", f"{graph['timing']['median_run_ms']:.1f}"]
        for graph in report["graphs"]
    ]  # fmt: skip
    together = ["all, as pictures", "", f"{report['bytes'] / 1e6:.2f}", f"{min(report['pictures_db']):.1f}", ""]
    _print_table([["component", "precision", "MB", "dB", "ms"], *rows, together])


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Two columns of names and then numbers, lined up."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        click.echo("  ".join([*names, *numbers]).rstrip())
