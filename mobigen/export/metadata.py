"""Writes what `mobigen.metadata` reads: the metadata.json of a bundle that is being made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobigen import __version__
from mobigen.bundle import measure
from mobigen.errors import WeightsError
from mobigen.metadata import SCHEMA_VERSION, Artefact
from mobigen.registry import find_model
from mobigen.signature import Signature, TensorSpec

__all__ = ["CREDITS", "PIPELINE", "TOKENIZER", "ModelCard", "describe_bundle", "read_card"]

TOKENIZER = "tokenizer.json"
PIPELINE = "pipeline.json"
CREDITS = "credits.json"


@dataclass(frozen=True)
class ModelCard:
    """What a weights folder holds beside its networks."""

    name: str
    pipeline: Any  # pipeline.json: the object "pipeline" of metadata.json, word for word
    licence: Any  # credits.json: {"licence": ..., "credits": [{"name": ..., "licence": ..., "note": ...}, ...]}
    credits: Any
    tokenizer_sha256: str
    weights_sha256: str  # over config.json and *.safetensors of the components


def read_card(name: str, weights: Path, components: Iterable[str]) -> ModelCard:
    """Read pipeline.json, credits.json and tokenizer.json of a weights folder; fields are checked later.

    Raises:
        WeightsError: a file is missing or is not a JSON object.
    """
    pipeline, credits = _read_object(weights / PIPELINE), _read_object(weights / CREDITS)
    if not (weights / TOKENIZER).is_file():
        raise WeightsError(f"{weights / TOKENIZER} is missing; a text-to-image model needs its tokenizer there")
    return ModelCard(
        name=name,
        pipeline=pipeline,
        licence=credits.get("licence"),
        credits=credits.get("credits"),
        tokenizer_sha256=measure(weights / TOKENIZER)[1],
        weights_sha256=_hash_weights(weights, components),
    )


def describe_bundle(
    card: ModelCard,
    signatures: Mapping[str, Signature],
    artefacts: Mapping[str, Artefact],
    converters: Mapping[str, str],
) -> dict[str, Any]:
    """The contents of metadata.json, for a bundle with one LiteRT graph a component."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": card.name,
        "version": __version__,
        "task": find_model(card.name).task,
        "components": {name: _describe_component(signatures[name], artefacts[name]) for name in signatures},
        "pipeline": card.pipeline,
        "tokenizer": {"file": TOKENIZER, "sha256": card.tokenizer_sha256},
        "licence": card.licence,
        "credits": card.credits,
        "converters": dict(converters),
        "weights_sha256": card.weights_sha256,
    }


def _describe_component(signature: Signature, artefact: Artefact) -> dict[str, Any]:
    return {
        "backends": {"litert": asdict(artefact)},
        "inputs": [_describe_tensor(spec) for spec in signature.inputs],
        "outputs": [_describe_tensor(spec) for spec in signature.outputs],
    }


def _describe_tensor(spec: TensorSpec) -> dict[str, Any]:
    span = None if spec.low is None or spec.high is None else [spec.low, spec.high]
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype, "range": span}


def _read_object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); it belongs beside the component folders") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path} is not a JSON object")
    return values


def _hash_weights(weights: Path, components: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for component in sorted(components):
        files = [weights / component / "config.json", *sorted((weights / component).glob("*.safetensors"))]
        for file in files:
            digest.update(f"{component}/{file.name}\0{measure(file)[1]}\n".encode())
    return digest.hexdigest()
