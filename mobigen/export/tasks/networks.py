"""Bare networks, which no pipeline joins: each runs on inputs that the user gives, or on its own example inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from mobigen.export.source import Source
from mobigen.export.tasks.trail import Arrays, Requests, Trail
from mobigen.runtime import Component

__all__ = ["RESULT_FLOOR", "check", "requests", "run"]

PARITY_SEEDS = range(4)
CALIBRATION_SEEDS = range(4, 12)
RESULT_FLOOR = 0.0  # there is no result


def check(source: Source) -> None:
    """Bare networks need not fit each other."""


def requests(source: Source) -> Requests:
    """Inputs by component: of those given, every second one is for calibration."""
    if source.samples:
        parity = tuple({name: each} for name, several in source.samples.items() for each in several[::2])
        calibration = tuple({name: each} for name, several in source.samples.items() for each in several[1::2])
        return Requests(parity, calibration)
    return Requests(
        tuple(_examples(source, seed) for seed in PARITY_SEEDS),
        tuple(_examples(source, seed) for seed in CALIBRATION_SEEDS),
    )


def run(
    source: Source, components: Mapping[str, Component], requests: Sequence[Mapping[str, Arrays]]
) -> Iterator[Trail]:
    """Each component of a request is run by itself."""
    for request in requests:
        for name, inputs in request.items():
            components[name](**inputs)
        yield Trail((), None)


def _examples(source: Source, seed: int) -> dict[str, Arrays]:
    drawn = {
        name: network.example_inputs(torch.Generator().manual_seed(seed)) for name, network in source.networks.items()
    }
    return {name: {key: value.numpy() for key, value in inputs.items()} for name, inputs in drawn.items()}
