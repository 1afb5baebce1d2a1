"""What an export starts from: the networks of a weights folder, with the constants and credits that lie beside them."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from mobigen.bundle import measure
from mobigen.errors import BundleError, ExportError, InputError, WeightsError
from mobigen.export.lora import merge_adapter
from mobigen.models.network import Network, load_network, network_class
from mobigen.quantization.ranges import LearnedLayer, learned_layers, read_ranges
from mobigen.record import REPAIR, Record
from mobigen.runtime.torch import TorchComponent
from mobigen.settings import SETTINGS, TOKENIZER, Settings
from mobigen.signature import Signature

__all__ = ["CONFIG", "CREDITS", "PIPELINE", "Source", "component_folders", "gather_weights", "read_source"]

CONFIG = "config.json"
PIPELINE = "pipeline.json"
CREDITS = "credits.json"
EXTRA_FILES = {TOKENIZER: "tokenizer.json"}  # taken into a bundle where the weights folder has them
BARE = "networks"  # the task of components that no pipeline.json joins


@dataclass(frozen=True)
class Source:
    """Networks that are to be exported together.

    Attributes:
        name, task: of the bundle.
        networks: by the name of their component, in evaluation mode and deploy form.
        pipeline: pipeline.json without its task, word for word.
        settings: the same, read: the record of its task in `mobigen.settings`.
        files: what the pipeline needs beside the networks, by name.
        licence, credits: of credits.json.
        weights_sha256: over config.json and *.safetensors of the components and adapters.
        learned: of components that were trained for 8 bits, the layers with their ranges.
        samples: real inputs of components that the user gives; none where a pipeline makes them.
    """

    name: str
    task: str
    networks: Mapping[str, Network]
    pipeline: Mapping[str, Any]
    settings: Any
    files: Mapping[str, Path]
    licence: str
    credits: Sequence[Mapping[str, str]]
    weights_sha256: str
    learned: Mapping[str, Sequence[LearnedLayer]] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def components(self) -> dict[str, TorchComponent]:
        """The networks, to be called with arrays."""
        return {name: TorchComponent(network, network.signature()) for name, network in self.networks.items()}

    def signatures(self) -> dict[str, Signature]:
        """Of the networks."""
        return {name: network.signature() for name, network in self.networks.items()}


def read_source(
    name: str,
    weights: Path,
    components: Sequence[str] = (),
    inputs: Path | None = None,
    adapters: Mapping[str, Path] | None = None,
) -> Source:
    """Read a weights folder.

    Args:
        name: the bundle's name.
        weights: a model's folder, <component>/{config.json, *.safetensors} with pipeline.json and credits.json;
            or such component folders alone; or a single component's folder, as `save_pretrained` writes it.
        components: which ones; all that the model needs if empty. A part of a model is bare networks.
        inputs: of bare networks, an .npz file with an array an input, samples first: named like the input of a
            single network, or COMPONENT.INPUT.
        adapters: component -> a folder of peft's `save_pretrained`, to be merged into it.

    Raises:
        InputError: `inputs` cannot be read or does not fit the networks.
        WeightsError: a file is missing or damaged.
        ExportError: the constants of pipeline.json or credits.json cannot work, or there is no such component.
    """
    folders = _component_folders(weights)
    joined = _read_joined(weights, list(folders))
    chosen = list(components) or joined.components
    _check_present(chosen, folders, weights)
    task, pipeline = (joined.task, joined.pipeline) if set(joined.components) <= set(chosen) else (BARE, {})
    files = {key: weights / file for key, file in EXTRA_FILES.items() if task != BARE and (weights / file).is_file()}
    licence, credits = _read_credits(weights / CREDITS, required=task != BARE)
    networks = {each: load_network(folders[each]) for each in chosen}
    _check_present(list(adapters or {}), networks, weights)
    for each, adapter in (adapters or {}).items():
        networks[each] = merge_adapter(networks[each], adapter)
    networks = {each: network.fuse() for each, network in networks.items()}
    return Source(
        name=name,
        task=task,
        networks=networks,
        pipeline=pipeline,
        settings=_read_settings(task, pipeline, files, weights),
        files=files,
        licence=licence,
        credits=credits,
        weights_sha256=_hash_weights({each: folders[each] for each in chosen}, adapters or {}),
        learned={each: learned_layers(networks[each], read_ranges(folders[each])) for each in chosen},
        samples=_read_samples(inputs, networks, task) if inputs else {},
    )


def component_folders(weights: Path, components: Sequence[str] = ()) -> dict[str, Path]:
    """Component -> folder: of those that are named, or else of all that the model needs.

    Raises:
        WeightsError: there is none, or not the one that was asked for.
        ExportError: pipeline.json cannot work.
    """
    folders = _component_folders(weights)
    chosen = list(components) or _read_joined(weights, list(folders)).components
    _check_present(chosen, folders, weights)
    return {each: folders[each] for each in chosen}


@contextmanager
def gather_weights(folders: Sequence[Path]) -> Iterator[Path]:
    """Several weights folders as one: what was trained here in front, what it was trained beside behind.

    Args:
        folders: at least one; a single one is given back as it is.

    Raises:
        WeightsError: a folder is missing.
    """
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise WeightsError(f"there is no folder {', '.join(missing)}; give the weights of a model or a component")
    if len(folders) == 1:
        yield folders[0]
        return
    with tempfile.TemporaryDirectory() as scratch:
        for folder in reversed(folders):
            for name, each in _parts(folder).items():
                _copy_over(each, Path(scratch, name))
        yield Path(scratch)


def _parts(folder: Path) -> dict[str, Path]:
    """What of a folder belongs to a model: components and the files beside them; not a run's cache."""
    if (folder / CONFIG).is_file():
        return _component_folders(folder)
    files = (PIPELINE, CREDITS, *EXTRA_FILES.values())
    return {each.name: each for each in folder.iterdir() if each.name in files or (each / CONFIG).is_file()}


def _copy_over(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


class _Joined(NamedTuple):
    """pipeline.json: which components it joins, for which task, and what the pipeline has to know."""

    task: str
    components: list[str]
    pipeline: dict[str, Any]


def _read_joined(weights: Path, present: list[str]) -> _Joined:
    if not (weights / PIPELINE).is_file():
        return _Joined(BARE, present, {})
    pipeline = _read_object(weights / PIPELINE)
    record = Record(pipeline, str(weights / PIPELINE))
    with _corrections():
        task, components = record.text("task"), list(record.texts("components"))
        if task not in SETTINGS:
            raise record.complaint("task", f"is {task!r}, accepted: {', '.join(SETTINGS)}")
    return _Joined(task, components, {key: each for key, each in pipeline.items() if key not in ("task", "components")})


def _read_settings(task: str, pipeline: Mapping[str, Any], files: Mapping[str, Path], weights: Path) -> Settings:
    with _corrections():
        return SETTINGS[task](Record(pipeline, str(weights / PIPELINE)), files)


@contextmanager
def _corrections() -> Iterator[None]:
    """What is wrong in a bundle's file is mended by another copy, in a source's by its author."""
    try:
        yield
    except BundleError as error:
        raise ExportError(f"{str(error).removesuffix(f'; {REPAIR}')}; correct it and export again") from error


def _component_folders(weights: Path) -> dict[str, Path]:
    """Component -> folder. Raises WeightsError if there is none."""
    if (weights / CONFIG).is_file():
        return {network_class(weights).component: weights}
    found = {each.parent.name: each.parent for each in sorted(weights.glob(f"*/{CONFIG}"))}
    if not found:
        raise WeightsError(f"no {CONFIG} in {weights} or a folder in it; give what save_pretrained wrote")
    return found


def _check_present(chosen: Sequence[str], folders: Mapping[str, Any], weights: Path) -> None:
    missing = [each for each in chosen if each not in folders]
    if missing:
        raise WeightsError(f"{weights} has no component {', '.join(missing)}; its components: {', '.join(folders)}")


def _read_credits(path: Path, required: bool) -> tuple[str, list[dict[str, str]]]:
    """The licence, and {name, licence, note} of every source of data."""
    if not required and not path.exists():
        return "not stated", []
    record = Record(_read_object(path), str(path))
    with _corrections():
        licence, credits = record.text("licence"), record.records("credits")
        return licence, [{key: each.text(key) for key in ("name", "licence", "note")} for each in credits]


def _read_samples(path: Path, networks: Mapping[str, Network], task: str) -> dict[str, list[dict[str, np.ndarray]]]:
    """Component -> its inputs, sample by sample, in batches of one. Raises InputError."""
    if task != BARE:
        raise InputError(f"{path} is not needed: the pipeline of {task} makes the inputs of its networks")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{path} is not an .npz file of plain arrays ({error}); write one with numpy.savez") from error
    return {
        name: _samples_of(network.signature(), arrays, "" if len(networks) == 1 else f"{name}.", path)
        for name, network in networks.items()
    }


def _samples_of(
    signature: Signature, arrays: Mapping[str, np.ndarray], prefix: str, path: Path
) -> list[dict[str, np.ndarray]]:
    for spec in signature.inputs:
        found = arrays.get(prefix + spec.name)
        if found is None or found.dtype != spec.dtype or found.shape[1:] != spec.shape[1:] or len(found) < 2:
            what = "nothing" if found is None else f"{found.dtype} {found.shape}"
            raise InputError(
                f"{path} has {what} for {prefix}{spec.name}; accepted: {spec.dtype} of shape "
                f"(samples, {', '.join(map(str, spec.shape[1:]))}) with at least 2 samples"
            )
    count = min(len(arrays[prefix + spec.name]) for spec in signature.inputs)
    return [
        {spec.name: arrays[prefix + spec.name][index : index + 1] for spec in signature.inputs}
        for index in range(count)
    ]


def _read_object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); it belongs beside the component folders") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path} is not a JSON object")
    return values


def _hash_weights(folders: Mapping[str, Path], adapters: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for component, folder in [*sorted(folders.items()), *sorted(adapters.items())]:
        for file in sorted({*folder.glob("*config.json"), *folder.glob("*.safetensors")}):
            digest.update(f"{component}/{file.name}\0{measure(file)[1]}\n".encode())
    return digest.hexdigest()
