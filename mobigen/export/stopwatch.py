"""How long a network takes through LiteRT, converted for the purpose and thrown away."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from mobigen.bench.timing import time_component
from mobigen.export.litert import convert
from mobigen.models.network import Network
from mobigen.runtime.litert import LiteRTComponent

__all__ = ["time_network"]


def time_network(network: Network, threads: int) -> float:
    """Milliseconds of a run in float32 on example inputs, the median of several after the first.

    Raises:
        ExportError: the network cannot be converted.
        MissingExtraError: litert-torch is not installed.
    """
    drawn = network.example_inputs(torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.tflite")
        convert(network, path)
        return time_component(
            lambda: LiteRTComponent(path, network.signature(), threads),
            {name: value.numpy() for name, value in drawn.items()},
            threads,
        ).median_run_ms
