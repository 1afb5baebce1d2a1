"""Learned ranges: what quantisation-aware training knows beside the weights, kept in a component's quantization.json.

{"layers": {"entry": {"input": [-1.0, 1.0], "output": [0.0, 5.25]}, ...}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobigen.errors import WeightsError
from mobigen.models.network import Network

__all__ = ["LayerRanges", "LearnedLayer", "Range", "learned_layers", "read_ranges", "write_ranges"]

FILE = "quantization.json"
Range = tuple[float, float]


@dataclass(frozen=True)
class LayerRanges:
    """What the input and the output of a layer may be, the output behind the clamp that is fused into the layer."""

    input: Range
    output: Range


@dataclass(frozen=True)
class LearnedLayer:
    """A layer's ranges, and its weight, by which it is found in an exported graph."""

    name: str
    weight: np.ndarray  # output channels first, as torch has it
    ranges: LayerRanges


def write_ranges(folder: Path, ranges: Mapping[str, LayerRanges]) -> None:
    """Write quantization.json into a component's folder, layer name -> ranges."""
    partial = folder / f"{FILE}.partial"
    values = {"layers": {name: asdict(each) for name, each in ranges.items()}}
    partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    partial.rename(folder / FILE)


def read_ranges(folder: Path) -> dict[str, LayerRanges]:
    """What `write_ranges` wrote; nothing if the component was not trained for 8 bits. Raises WeightsError."""
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        layers = json.loads(path.read_text(encoding="utf-8"))["layers"]
        return {name: LayerRanges(_range(each["input"]), _range(each["output"])) for name, each in layers.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is damaged ({error!r}); fetch it again, or train for 8 bits again") from error


def _range(values: Any) -> Range:
    low, high = map(float, values)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"{values} is not a range")
    return low, high


def learned_layers(network: Network, ranges: Mapping[str, LayerRanges]) -> list[LearnedLayer]:
    """The ranges beside the weights of their layers. Raises WeightsError if the network has no such layer."""
    weights = {name: each.detach() for name, each in network.named_parameters(remove_duplicate=False)}
    unknown = [name for name in ranges if f"{name}.weight" not in weights]
    if unknown:
        raise WeightsError(f"{FILE} speaks of {unknown[0]}, which this {network.component} lacks; remove the file")
    return [LearnedLayer(name, weights[f"{name}.weight"].cpu().numpy().copy(), each) for name, each in ranges.items()]
