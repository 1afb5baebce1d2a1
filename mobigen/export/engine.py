"""The engine: a model's weights -> its bundle, one way for every model.

Each component is converted, brought to its precision, and run beside its network on real inputs. One below
its floor stops the export, and nothing is left behind: a bundle appears whole, by a rename, or not at all.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mobigen.bundle import METADATA, load_bundle, measure
from mobigen.errors import ExportError
from mobigen.export.inputs import CALIBRATION_PROMPTS, PARITY_PROMPTS, Arrays
from mobigen.export.litert import convert
from mobigen.export.metadata import TOKENIZER, describe_bundle
from mobigen.export.parity import check_parity, compare
from mobigen.export.pictures import check_pictures, compare_pictures
from mobigen.export.quantize import check_precision, needs_calibration, quantize
from mobigen.export.report import GraphReport, converter_versions, time_component, write_report
from mobigen.export.source import Source, read_source
from mobigen.metadata import Artefact
from mobigen.models.network import Network
from mobigen.registry import find_model
from mobigen.runtime.litert import LiteRTComponent
from mobigen.runtime.torch import TorchComponent

__all__ = ["PLANS", "REPORT", "convert_to", "export_model", "plan_export"]

# model -> component -> precision, chosen by `python -m benchmarks.precisions`
PLANS: dict[str, dict[str, str]] = {
    "sticker": {"text_encoder": "float16", "denoiser": "int8-weights", "decoder": "int8-dynamic"},
}
REPORT = "report.json"
THREADS = 2  # for parity and the report's times


def export_model(name: str, weights: Path, out: Path, precisions: Mapping[str, str] | None = None) -> Path:
    """Make the bundle of a model.

    Args:
        name: a registered name, "sticker".
        weights: the model's weights folder: <component>/{config.json, *.safetensors}, tokenizer.json,
            pipeline.json and credits.json.
        out: the bundle's folder; a bundle that is there already is replaced once the new one is whole.
        precisions: component -> a name of PRECISIONS, where it is not to be that of PLANS.

    Returns:
        `out`, with metadata.json, report.json, tokenizer.json and litert/*.tflite.

    Raises:
        InputError: there is no such model.
        WeightsError: a file of the weights is missing or damaged.
        ExportError: a network cannot be converted as asked, or does not fit the others; `out` is as it was.
        ParityError: a graph, or the picture of them all, is too far from the networks'; `out` is as it was.
        MissingExtraError: the converters are not installed.
    """
    plan, source = plan_export(name, weights, out, precisions)
    samples = source.record(PARITY_PROMPTS)
    calibrated = any(map(needs_calibration, plan.values()))
    calibration = source.record(CALIBRATION_PROMPTS if calibrated else ())
    with _replacing(out) as folder:
        (folder / "litert").mkdir()
        graphs = [
            _export_component(source.networks[each], plan[each], folder, samples[each], calibration[each])
            for each in plan
        ]
        pictures = compare_pictures(source, source.components(), _open_graphs(folder, source), PARITY_PROMPTS)
        check_pictures(pictures)
        shutil.copyfile(source.tokenizer, folder / TOKENIZER)
        _write_metadata(folder, source, graphs)
        write_report(folder / REPORT, name, graphs, pictures)
        load_bundle(folder)  # an app will read it so
    return out


def plan_export(
    name: str, weights: Path, out: Path, precisions: Mapping[str, str] | None = None
) -> tuple[dict[str, str], Source]:
    """Check all that can be checked before the slow part; nothing is written.

    Args: as of `export_model`.

    Returns:
        Component -> precision, and the networks.

    Raises:
        InputError, WeightsError, ExportError: as `export_model`.
    """
    plan = _choose_precisions(find_model(name).name, precisions or {})
    if out.exists() and not (out / METADATA).is_file():  # replacing it would destroy something else
        raise ExportError(f"{out} exists and is not a bundle; choose another place, or move it away")
    return plan, read_source(name, weights, plan)


def _choose_precisions(name: str, chosen: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(chosen) - set(PLANS[name]))
    if unknown:
        raise ExportError(f"{name} has no component {', '.join(unknown)}; its components: {', '.join(PLANS[name])}")
    for precision in chosen.values():
        check_precision(precision)
    return {**PLANS[name], **chosen}


def _export_component(
    network: Network, precision: str, folder: Path, samples: Sequence[Arrays], calibration: Sequence[Arrays]
) -> GraphReport:
    """Write one component's graph below `folder` and measure it. Raises ExportError, ParityError."""
    path, signature = folder / _graph_file(network.component), network.signature()
    convert_to(network, path, precision, calibration)
    decibels = compare(TorchComponent(network, signature), LiteRTComponent(path, signature, THREADS), samples)
    check_parity(network.component, precision, decibels)
    return GraphReport(
        component=network.component,
        backend="litert",
        precision=precision,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        bytes=path.stat().st_size,
        parity_db={name: round(value, 1) for name, value in decibels.items()},
        samples=len(samples),
        timing=time_component(lambda: LiteRTComponent(path, signature, THREADS), samples[0], THREADS),
    )


def convert_to(network: Network, path: Path, precision: str, calibration: Sequence[Arrays] = ()) -> None:
    """Write a network as a LiteRT graph of the given precision. Raises ExportError."""
    if precision == "float32":
        convert(network, path)
        return
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        wide = Path(scratch, path.name)
        convert(network, wide)
        quantize(wide, path, precision, calibration)


def _open_graphs(folder: Path, source: Source) -> dict[str, LiteRTComponent]:
    return {
        name: LiteRTComponent(folder / _graph_file(name), network.signature(), THREADS)
        for name, network in source.networks.items()
    }


def _graph_file(component: str) -> str:
    return f"litert/{component}.tflite"


def _write_metadata(folder: Path, source: Source, graphs: Sequence[GraphReport]) -> None:
    artefacts = {}
    for graph in graphs:
        file = _graph_file(graph.component)
        size, digest = measure(folder / file)
        artefacts[graph.component] = Artefact(file, graph.precision, size, digest, min(graph.parity_db.values()))
    signatures = {each: network.signature() for each, network in source.networks.items()}
    values = describe_bundle(source.card, signatures, artefacts, converter_versions())
    (folder / METADATA).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A new folder that takes the place of `out` when all went well, and vanishes when it did not."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as scratch:
        folder, old = Path(scratch, "new"), Path(scratch, "old")
        folder.mkdir()
        yield folder
        try:
            if out.exists():
                out.rename(old)
            folder.rename(out)
        except BaseException:
            if old.exists() and not out.exists():
                old.rename(out)
            raise
