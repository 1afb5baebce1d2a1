"""The engine: networks -> a bundle, one way for every model and backend.

Each graph is proven beside its network on what reaches it in its pipeline; then the whole pipeline runs on the graphs.
One below its floor stops the export, and nothing is left behind: a bundle appears whole, by a rename, or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobigen.bundle import METADATA, load_bundle
from mobigen.errors import ExportError
from mobigen.export.backends import BACKENDS, Part
from mobigen.export.graph import Graph, functions_of, make_graph
from mobigen.export.metadata import describe_bundle
from mobigen.export.parity import TrailParity, check_results, compare_trails
from mobigen.export.plans import Plan
from mobigen.export.replacing import replacing
from mobigen.export.report import BackendReport, converter_versions, write_report
from mobigen.export.source import Source
from mobigen.export.tasks import TASKS, Trail
from mobigen.export.tasks.trail import Arrays, recorders
from mobigen.export.tune import Trial
from mobigen.metadata import BundledComponent

__all__ = ["REPORT", "Observed", "check_target", "export_model", "observe", "parts_of"]

REPORT = "report.json"
Tell = Callable[[str], None]
Parts = Mapping[str, Part]
Trials = Mapping[str, Mapping[str, Sequence[Trial]]]  # backend -> component -> what was tried
Graphs = Mapping[str, Mapping[str, Graph]]  # backend -> component -> graph


@dataclass(frozen=True)
class Observed:
    """What the networks do while their pipeline answers some requests."""

    requests: Sequence[Any]
    trails: Sequence[Trail]
    inputs: Mapping[str, Sequence[Arrays]]  # of each component, in the order of its calls


def export_model(
    source: Source,
    out: Path,
    plan: Plan,
    sizes: Mapping[str, Sequence[int]] | None = None,
    overwrite: bool = False,
    trials: Trials | None = None,
    tell: Tell = lambda line: None,
) -> Path:
    """Make a bundle.

    Args:
        source: the networks, from `read_source`.
        out: the bundle's folder; a bundle that is there already is replaced once the new one is whole.
        plan: backend -> component -> precision, from `make_plan`.
        sizes: component -> sizes that its graph is to serve beside its own, with shared weights.
        overwrite: whether a bundle with graphs for more backends may be replaced.
        trials: of the tuning that made the plan, for the report.
        tell: called with a line before each part of the work.

    Returns:
        `out`, with metadata.json, report.json, the pipeline's files, litert/*.tflite and coreml/*.mlpackage.

    Raises:
        ConfigError: a network has no other size.
        ExportError: a network cannot be converted as asked, or does not fit the others; `out` is as it was.
        ParityError: a graph, or the result of them all, is too far from the networks'; `out` is as it was.
        MissingExtraError: the converters are not installed.
    """
    check_target(out, plan, overwrite)
    task = TASKS[source.task]
    task.check(source)
    parts = parts_of(source, sizes or {})
    requests = task.requests(source)
    tell("running the networks on real inputs")
    seen = observe(source, requests.parity)
    fitted = observe(source, requests.calibration if _wants_calibration(plan) else ())
    graphs: dict[str, dict[str, Graph]] = {}
    reports: dict[str, BackendReport] = {}
    with replacing(out) as folder:
        folder.mkdir()
        for backend in plan:
            graphs[backend] = _make_graphs(backend, plan[backend], parts, folder, seen, fitted, tell)
            tell(f"{backend}: the whole pipeline")
            parity = _judge(backend, source, graphs[backend], seen)
            reports[backend] = BackendReport.of([each.report for each in graphs[backend].values()], parity)
        for path in source.files.values():
            shutil.copyfile(path, folder / path.name)
        values = describe_bundle(source, _bundled(parts, graphs), converter_versions(plan))
        (folder / METADATA).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        write_report(folder / REPORT, source, reports, trials)
        load_bundle(folder)  # an app will read it so
    return out


def parts_of(source: Source, sizes: Mapping[str, Sequence[int]]) -> dict[str, Part]:
    """What is to be converted. Raises ConfigError where a network has one size only."""
    return {
        name: Part(name, functions_of(network, sizes.get(name, ())), source.learned.get(name, ()))
        for name, network in source.networks.items()
    }


def observe(source: Source, requests: Sequence[Any]) -> Observed:
    """Answer requests with the networks, and keep what they receive and what comes of it."""
    watched = recorders(source.components())
    trails = list(TASKS[source.task].run(source, watched, requests))
    return Observed(requests, trails, {name: each.calls for name, each in watched.items()})


def check_target(out: Path, plan: Plan, overwrite: bool = False) -> None:
    """Refuse to destroy what is not a bundle, or graphs that the new bundle would lack. Raises ExportError."""
    if not out.exists():
        return
    if not (out / METADATA).is_file():
        raise ExportError(f"{out} exists and is not a bundle; choose another place, or move it away")
    lost = sorted(_backends_of(out) - set(plan))
    if lost and not overwrite:
        raise ExportError(
            f"{out} has graphs for {', '.join(lost)} too, which this export would not make; "
            "add that to --to, give another --output-dir, or --overwrite"
        )


def _backends_of(bundle: Path) -> set[str]:
    """Those of a bundle of any schema version; none of one that cannot be read."""
    try:
        values = json.loads((bundle / METADATA).read_text(encoding="utf-8"))
        return {name for component in values["components"].values() for name in component["backends"]}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()


def _wants_calibration(plan: Plan) -> bool:
    return any(BACKENDS[each].wants_calibration(precision) for each in plan for precision in plan[each].values())


def _make_graphs(
    backend: str,
    precisions: Mapping[str, str],
    parts: Parts,
    folder: Path,
    seen: Observed,
    fitted: Observed,
    tell: Tell,
) -> dict[str, Graph]:
    graphs = {}
    for component, precision in precisions.items():
        tell(f"{backend}: {component} in {precision}")
        inputs = seen.inputs[component], fitted.inputs[component]
        graphs[component] = make_graph(BACKENDS[backend], parts[component], precision, folder, *inputs)
    return graphs


def _judge(backend: str, source: Source, graphs: Mapping[str, Graph], seen: Observed) -> TrailParity:
    """Run the whole pipeline on the graphs. Raises ParityError."""
    task = TASKS[source.task]
    components = {name: graph.component for name, graph in graphs.items()}
    parity = compare_trails(seen.trails, task.run(source, components, seen.requests))
    check_results(backend, parity.results_db, task.RESULT_FLOOR)
    return parity


def _bundled(parts: Parts, graphs: Graphs) -> dict[str, BundledComponent]:
    return {
        name: BundledComponent(
            signature=part.network.signature(),
            backends={backend: each[name].artefact for backend, each in graphs.items()},
            sizes={size: each.signature() for size, each in part.functions.items()} if len(part.functions) > 1 else {},
        )
        for name, part in parts.items()
    }
