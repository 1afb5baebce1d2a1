"""The export command: weights -> a bundle, with a table of sizes and of agreement with the networks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobigen.cli.group import Command, means_folder, needs_extra, split_names
from mobigen.cli.table import print_table
from mobigen.errors import InputError
from mobigen.registry import find_model, weights_folder

if TYPE_CHECKING:
    from mobigen.export.engine import Trials
    from mobigen.export.plans import Choice, Plan
    from mobigen.export.source import Source

__all__ = ["export"]

FOLDER = click.Path(path_type=Path)
BITS = {"float32": 32, "float16": 16, "palette6": 6, "palette4": 4}  # of a weight; the other precisions have 8


@click.command(cls=Command)
@click.argument("model", metavar="MODEL|DIR")
@click.option(
    "--weights", type=FOLDER, multiple=True, metavar="DIR",
    help="The model's weights; weights/MODEL if left out. Given again, it serves for what the first lacks.",
)  # fmt: skip
@click.option("--to", "targets", default="litert,coreml", show_default=True, help="The runtimes to export for.")
@click.option(
    "--precision", "precisions", multiple=True, metavar="[COMPONENT=]NAME[,...]",
    help="Such as float16, denoiser=float32 or coreml:denoiser=palette6. Several for all components make a "
    "bundle each. Left out: as measured best.",
)  # fmt: skip
@click.option("--components", metavar="NAME[,...]", help="These alone; a part of a model is bare networks.")
@click.option(
    "--sizes", multiple=True, metavar="COMPONENT=SIZE[,...]",
    help="Other sizes that one graph is to serve with the same weights, such as decoder=192,384.",
)  # fmt: skip
@click.option(
    "--inputs", type=click.Path(path_type=Path), metavar="FILE.npz",
    help="Real inputs of a bare network, by name, samples first; its example inputs if left out.",
)  # fmt: skip
@click.option(
    "--lora", "adapters", multiple=True, metavar="COMPONENT=DIR",
    help="An adapter of peft's save_pretrained to merge first, such as denoiser=runs/lora.",
)  # fmt: skip
@click.option("--tune", is_flag=True, help="Try every precision, and keep the smallest that is good enough.")
@click.option("--output-dir", type=FOLDER, metavar="DIR", help="The bundle; export/MODEL if left out.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle even if it has graphs for more runtimes.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--dry-run", is_flag=True, help="Check the weights and print the plan; write nothing.")
def export(
    model: str,
    weights: Sequence[Path],
    targets: str,
    precisions: Sequence[str],
    components: str | None,
    sizes: Sequence[str],
    inputs: Path | None,
    adapters: Sequence[str],
    tune: bool,
    output_dir: Path | None,
    overwrite: bool,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Export weights to a bundle, and measure how closely it follows the networks.

    MODEL is a name of `mobigen models`; DIR a folder of weights, your own checkpoint or a single network of
    save_pretrained, say. A graph that does not follow its network fails the export, and an older bundle stays.
    """
    folders = _weights_folders(model, weights)
    with needs_extra("export", "exporting"):
        from mobigen.export.engine import check_target
        from mobigen.export.plans import read_choice
        from mobigen.export.source import gather_weights, read_source
    name, others = _bundle_name(model), _read_sizes(sizes)
    choices = [read_choice(each) for text in precisions for each in split_names(text)]
    with gather_weights(folders) as gathered:
        source = read_source(name, gathered, split_names(components), inputs, dict(map(_read_adapter, adapters)))
        plans = _plan_bundles(source, split_names(targets), choices, output_dir or Path("export", name))
        for folder, plan in plans.items():
            check_target(folder, plan, overwrite)
        if dry_run:
            _show_plans(source, plans, as_json)
            return
        click.echo(f"exporting {', '.join(map(str, folders))}; this takes minutes", err=True)
        trials = None
        if tune:
            plans, trials = _tune(source, plans)
        reports = [_export_bundle(source, folder, plan, others, overwrite, trials) for folder, plan in plans.items()]
    if as_json:
        click.echo(json.dumps(reports if len(reports) > 1 else reports[0], indent=2))
        return
    for folder, report in zip(plans, reports, strict=True):
        _show_trials(report.get("tuning", {}))
        _show_report(report)
        click.echo(folder)


def _tune(source: Source, plans: Mapping[Path, Plan]) -> tuple[dict[Path, Plan], Trials]:
    """The only plan's backends, with precisions that were measured."""
    from mobigen.export.tuning import tune_model

    if len(plans) > 1:
        raise InputError("--tune chooses the precisions; leave --precision out")
    ((folder, plan),) = plans.items()
    tuning = tune_model(source, list(plan), tell=lambda line: click.echo(f"{folder}: {line}", err=True))
    return {folder: tuning.plan}, tuning.trials


def _export_bundle(
    source: Source,
    folder: Path,
    plan: Plan,
    sizes: Mapping[str, Sequence[int]],
    overwrite: bool,
    trials: Trials | None,
) -> dict[str, Any]:
    """Make one bundle, and read its report."""
    from mobigen.export.engine import REPORT, export_model

    def tell(line: str) -> None:
        click.echo(f"{folder}: {line}", err=True)

    export_model(source, folder, plan, sizes, overwrite, trials, tell)
    return json.loads((folder / REPORT).read_text(encoding="utf-8"))


def _weights_folders(model: str, weights: Sequence[Path]) -> list[Path]:
    """A registered model's are looked for where the house keeps them; a folder's own come first."""
    if means_folder(model):
        return [Path(model), *weights]
    return list(weights) or [weights_folder(find_model(model).name)]


def _bundle_name(model: str) -> str:
    return Path(model).resolve().name if means_folder(model) else model


def _plan_bundles(source: Source, targets: Sequence[str], choices: Sequence[Choice], out: Path) -> dict[Path, Plan]:
    """Folder -> plan: one bundle, or one for each of several precisions that are meant for all components."""
    from mobigen.export.backends import has_precision
    from mobigen.export.plans import make_plan

    components = list(source.networks)
    general = [each for each in choices if each.component is None and each.backend is None]
    if len(general) < 2:
        return {out: make_plan(source.name, components, targets, choices)}
    special = [each for each in choices if each not in general]
    plans = {}
    for each in general:
        able = [target for target in targets if has_precision(target, each.precision)]
        folder = out.with_name(f"{out.name}-{each.precision}")
        plans[folder] = make_plan(source.name, components, able or targets, [each, *special])
    return plans


def _read_adapter(text: str) -> tuple[str, Path]:
    component, _, folder = text.partition("=")
    if not component or not folder:
        raise InputError(f"--lora {text} is not COMPONENT=DIR, such as denoiser=runs/lora")
    return component, Path(folder)


def _read_sizes(texts: Iterable[str]) -> dict[str, list[int]]:
    sizes = {}
    for text in texts:
        component, _, numbers = text.partition("=")
        if not component or not all(each.isdecimal() for each in split_names(numbers)) or not split_names(numbers):
            raise InputError(f"--sizes {text} is not COMPONENT=SIZE,SIZE, such as decoder=192,384")
        sizes[component] = [int(each) for each in split_names(numbers)]
    return sizes


def _show_plans(source: Source, plans: Mapping[Path, Plan], as_json: bool) -> None:
    """A graph is a little larger than its weights."""
    weights = {name: sum(each.numel() for each in network.parameters()) for name, network in source.networks.items()}
    rows: list[dict[str, Any]] = [
        {"bundle": str(folder), "backend": backend, "component": name, "precision": precision,
         "parameters": weights[name], "bytes_of_weights": weights[name] * BITS.get(precision, 8) // 8}
        for folder, plan in plans.items() for backend, components in plan.items()
        for name, precision in components.items()
    ]  # fmt: skip
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    cells = [
        [row["bundle"], row["backend"], row["component"], row["precision"], f"{row['parameters'] / 1e6:.2f}",
         f"{row['bytes_of_weights'] / 1e6:.1f}"]
        for row in rows
    ]  # fmt: skip
    head = ["bundle", "backend", "component", "precision", "M parameters", "MB of weights"]
    print_table([head, *cells], names=4)


def _show_report(report: Mapping[str, Any]) -> None:
    """Sizes, the worst agreement of a graph with its network, and the time of a run on the CPU."""
    rows = [["backend", "component", "precision", "MB", "dB", "ms"]]
    for name, backend in report["backends"].items():
        for graph in backend["graphs"]:
            time = "" if graph["timing"] is None else f"{graph['timing']['median_run_ms']:.1f}"
            worst = f"{min(graph['parity_db'].values()):.1f}"
            rows.append([name, graph["component"], graph["precision"], f"{graph['bytes'] / 1e6:.2f}", worst, time])
        worst = f"{min(backend['results_db']):.1f}" if backend["results_db"] else ""
        rows.append([name, "all, as a result", "", f"{backend['bytes'] / 1e6:.2f}", worst, ""])
    print_table(rows, names=3)


def _show_trials(tuning: Mapping[str, Any]) -> None:
    """Every precision that was tried, if any was, and which were kept."""
    if not tuning:
        return
    rows = [["backend", "component", "tried", "kept", "MB", "dB", "of float32's time"]]
    for name, components in tuning.items():
        for component, trials in components.items():
            for trial in trials:
                size, quality, ratio = (
                    "" if value is None else f"{value / scale:.2f}"
                    for value, scale in ((trial["bytes"], 1e6), (trial["decibels"], 1), (trial["ratio"], 1))
                )
                rows.append([name, component, trial["name"], "*" if trial["kept"] else "", size, quality, ratio])
    print_table(rows, names=4)
