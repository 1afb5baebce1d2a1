"""Writes what `mobigen.metadata` reads: the metadata.json of a bundle that is being made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mobigen import __version__
from mobigen.bundle import measure
from mobigen.export.source import Source
from mobigen.metadata import SCHEMA_VERSION, BundledComponent
from mobigen.signature import Signature, TensorSpec

__all__ = ["describe_bundle"]


def describe_bundle(
    source: Source, components: Mapping[str, BundledComponent], converters: Mapping[str, str]
) -> dict[str, Any]:
    """The contents of metadata.json; the source's files keep their names."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": source.name,
        "version": __version__,
        "task": source.task,
        "components": {name: _describe_component(each) for name, each in components.items()},
        "pipeline": source.pipeline,
        "files": {name: {"file": path.name, "sha256": measure(path)[1]} for name, path in source.files.items()},
        "licence": source.licence,
        "credits": source.credits,
        "converters": dict(converters),
        "weights_sha256": source.weights_sha256,
    }


def _describe_component(component: BundledComponent) -> dict[str, Any]:
    values = {
        "backends": {name: asdict(artefact) for name, artefact in component.backends.items()},
        **_describe_signature(component.signature),
    }
    if component.sizes:
        values["sizes"] = {name: _describe_signature(each) for name, each in component.sizes.items()}
    return values


def _describe_signature(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": [_describe_tensor(spec) for spec in signature.inputs],
        "outputs": [_describe_tensor(spec) for spec in signature.outputs],
    }


def _describe_tensor(spec: TensorSpec) -> dict[str, Any]:
    span = None if spec.low is None or spec.high is None else [spec.low, spec.high]
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype, "range": span}
