"""The doctor command: what would be ruled out of which accelerator, why, and what to change, before converting."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mobigen.cli.group import Command, means_folder, needs_extra, split_names
from mobigen.cli.table import print_table
from mobigen.registry import find_model, weights_folder

if TYPE_CHECKING:
    from mobigen.export.doctor.report import ComponentReport, Finding, Measures, Report, Verdict

__all__ = ["doctor"]

WIDTH = 110  # columns
PLACES = 4  # that a finding names
NOTE = (
    "The doctor can rule out, never promise: what nothing rules out may still run elsewhere, and only a run on the "
    "device tells (mobigen bench BUNDLE --adb). In a browser ship int8 or float32: float16 weights are 6 to 33 times "
    "slower there."
)


@click.command(cls=Command)
@click.argument("model", metavar="MODEL|DIR")
@click.option("--components", metavar="NAME[,...]", help="These alone; all that the model needs if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def doctor(model: str, components: str | None, as_json: bool) -> None:
    """Tell what would keep a model off a phone's accelerators.

    MODEL is a name of `mobigen models`; DIR a folder of weights, or a single network of save_pretrained. Every
    network is traced and held against the rules of the Neural Engine, of LiteRT on GPU and CPU, and of the browser;
    nothing is converted.
    """
    with needs_extra("train", "the doctor"):
        from mobigen.export.doctor import examine
        from mobigen.export.source import component_folders
        from mobigen.models.network import load_network
    folders = component_folders(_weights_folder(model), split_names(components))
    report = examine(_name(model), {name: load_network(folder) for name, folder in folders.items()})
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2))
    else:
        _show(report)


def _name(model: str) -> str:
    return Path(model).resolve().name if means_folder(model) else model


def _weights_folder(model: str) -> Path:
    """A folder as it is; a registered model's in the usual places. Raises WeightsError."""
    return Path(model) if means_folder(model) else weights_folder(find_model(model).name)


# --- as text ------------------------------------------------------------------------------------------------


def _show(report: Report) -> None:
    _show_overview(report)
    for component in report.components:
        _show_component(component)
    click.echo()
    _show_lines("", NOTE)


def _show_overview(report: Report) -> None:
    """Which accelerator loses how much of which component."""
    from mobigen.export.doctor.rules import TARGETS

    weights = sum(each.measures.weights for each in report.components if each.measures)
    click.echo(f"{report.model}: {_count(len(report.components), 'component')}, {_large(weights)} weights")
    click.echo("\noperations ruled out of an accelerator, or off a CPU's fast path")
    rows = [["component", "of all", *TARGETS.values()]]
    for each in report.components:
        total = str(sum(each.measures.ops.values())) if each.measures else "?"
        rows.append([each.component, total, *(_cell(each.verdicts[target]) for target in TARGETS)])
    print_table(rows, names=1)


def _cell(verdict: Verdict) -> str:
    if not verdict.convertible:
        return "all"
    return str(verdict.ruled_out) if verdict.ruled_out else "-"


def _show_component(report: ComponentReport) -> None:
    click.echo(f"\n\n{report.component}")
    _show_lines("  in   ", ", ".join(f"{name} {spec}" for name, spec in report.inputs.items()))
    _show_lines("  out  ", ", ".join(f"{name} {spec}" for name, spec in report.outputs.items()))
    for finding in report.findings:
        _show_finding(finding)
    if not report.findings:
        click.echo("\n  No rule is broken.")
    if report.measures:
        click.echo()
        for name, text in _measures(report.measures, report.verdicts):
            _show_lines(f"  {name:17}", text)


def _show_finding(finding: Finding) -> None:
    from mobigen.export.doctor.rules import TARGETS

    where = ", ".join(TARGETS[target] for target in finding.targets)
    if len(finding.targets) == len(TARGETS):
        where = "everywhere"
    click.echo()
    _show_lines("  ", f"{finding.effect.upper()}: {where}")
    _show_lines("    what    ", _what(finding))
    _show_lines("    why     ", finding.why)
    _show_lines("    change  ", finding.change)


def _what(finding: Finding) -> str:
    """The operations, the shape of the largest result, and the modules that they are in."""
    if not finding.ops:
        return "the network as a whole"
    text = ", ".join(f"{count} {name}" for name, count in finding.ops.items())
    if finding.shape is not None:
        text += f", up to {_shape(finding.shape)}" if sum(finding.ops.values()) > 1 else f", {_shape(finding.shape)}"
    more = len(finding.places) - PLACES
    return f"{text}; in {', '.join(finding.places[:PLACES])}" + (
        f" and {_count(more, 'more place')}" if more > 0 else ""
    )


def _measures(measures: Measures, verdicts: Mapping[str, Verdict]) -> Iterator[tuple[str, str]]:
    from mobigen.export.doctor.rules import TARGETS

    for target, verdict in verdicts.items():
        if verdict.convertible and verdict.ruled_out:
            tensors = f"{_count(verdict.handed_over, 'tensor')}, {_megabytes(verdict.handed_over_bytes)} in float32"
            yield TARGETS[target], f"{verdict.ruled_out} run elsewhere; {tensors}, change sides in every run"
    sizes = ", ".join(f"{_megabytes(size)} in {name}" for name, size in measures.weight_bytes.items())
    yield "weights", f"{_large(measures.weights)}: {sizes}"
    yield "one run", f"{_large(measures.macs)} multiply-accumulates"
    peak = measures.peak_bytes
    place = f"{measures.peak_op} in {measures.peak_place}" if measures.peak_place else measures.peak_op
    yield (
        "activations",
        f"at most {_megabytes(peak['float32'])} alive at once in float32 (at {place}), "
        f"{_megabytes(peak['float16'])} in float16, {_megabytes(peak['neural-engine'])} on the Neural Engine; "
        f"padded rows cost it {measures.padding - 1:.0%} over all tensors",
    )
    largest = (f"{_shape(each.shape)} {each.op} in {each.place}" for each in measures.largest)
    yield "largest tensors", "; ".join(largest)
    yield "numbers", _numbers(measures.largest_magnitude)
    names = ", ".join(f"{count} {name}" for name, count in measures.ops.items())
    yield "operations", f"{names}; tensors of {measures.highest_rank} axes at most"


def _numbers(largest: float | None) -> str:
    if largest is None:
        return "not all finite on the example inputs"
    return f"up to {largest:.6g} on the example inputs; float16 ends at 65504"


def _show_lines(head: str, text: str) -> None:
    """A paragraph that hangs beside its head."""
    click.echo(textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)))


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join('?' if size < 0 else str(size) for size in shape)}{',' if len(shape) == 1 else ''})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _large(number: int) -> str:
    """13171793 -> 13.2 M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return str(number)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.3g} kB"
