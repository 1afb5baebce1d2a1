"""Parity: how closely graphs follow their networks, component by component, step by step and as a result."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mobigen.errors import ParityError
from mobigen.export.tasks.trail import Trail
from mobigen.models.network import Network
from mobigen.runtime import Component

__all__ = [
    "CEILING",
    "FLOORS",
    "MEANING_TOLERANCE",
    "TrailParity",
    "check_meaning",
    "check_parity",
    "check_results",
    "compare",
    "compare_trails",
    "floor_of",
    "psnr",
    "relative_error",
]

Arrays = Mapping[str, np.ndarray]

FLOORS = {  # dB, by what a precision's name begins with
    "float32": 40.0,
    "float16": 40.0,
    "int8": 30.0,
    "uint8": 30.0,
    "palette": 30.0,
}
CEILING = 200.0  # dB of outputs that are equal: JSON has no infinity, and float32 ends near 150
MEANING_TOLERANCE = 1e-6  # of a float32 program run in float64, against the network in float64


@dataclass(frozen=True)
class TrailParity:
    """How closely a pipeline on graphs follows the pipeline on networks, from the same noise."""

    steps_db: tuple[float, ...]  # of the state after each step, the lowest over the requests
    results_db: tuple[float, ...]  # of what a person gets, a request each; empty without a pipeline


def psnr(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Peak signal-to-noise ratio: 20 log10(max |reference| / rms(reference - candidate)) dB, at most CEILING.

    Minus infinity if a number is not finite, or if the reference is zero and the candidate is not.
    """
    wanted, found = reference.astype(np.float64), candidate.astype(np.float64)
    if not (np.isfinite(wanted).all() and np.isfinite(found).all()):
        return -np.inf
    peak, error = np.abs(wanted).max(), np.sqrt(np.square(wanted - found).mean())
    if error == 0:
        return CEILING
    return min(CEILING, float(20 * np.log10(peak / error))) if peak > 0 else -np.inf


def relative_error(reference: np.ndarray, candidate: np.ndarray) -> float:
    """max |reference - candidate| / max |reference|; infinite if a number is not finite."""
    if not (np.isfinite(reference).all() and np.isfinite(candidate).all()):
        return np.inf
    difference, peak = np.abs(reference - candidate).max(), np.abs(reference).max()
    if difference == 0:
        return 0.0
    return float(difference / peak) if peak > 0 else np.inf


def compare(reference: Component, candidate: Component, samples: Sequence[Arrays]) -> dict[str, float]:
    """The dB of each output of `candidate` against `reference`, the lowest over the samples of inputs."""
    worst: dict[str, float] = {}
    for inputs in samples:
        wanted, found = reference(**inputs), candidate(**inputs)
        for name, values in wanted.items():
            worst[name] = min(worst.get(name, CEILING), psnr(values, found[name]))
    return worst


def compare_trails(networks: Iterable[Trail], graphs: Iterable[Trail]) -> TrailParity:
    """Step by step and result by result."""
    pairs = list(zip(networks, graphs, strict=True))
    by_step = [
        [psnr(wanted, found) for wanted, found in zip(reference.steps, candidate.steps, strict=True)]
        for reference, candidate in pairs
    ]
    results = tuple(
        psnr(reference.result, candidate.result)
        for reference, candidate in pairs
        if reference.result is not None and candidate.result is not None
    )
    return TrailParity(tuple(min(each) for each in zip(*by_step, strict=True)), results)


def floor_of(precision: str) -> float:
    """The dB that a graph of this precision must reach."""
    return next(floor for name, floor in FLOORS.items() if precision.startswith(name))


def check_parity(component: str, precision: str, decibels: Mapping[str, float]) -> None:
    """Refuse a graph below its floor. Raises ParityError that names the output."""
    floor = floor_of(precision)
    for name, value in decibels.items():
        if not value >= floor:
            raise ParityError(
                f"{component} in {precision}: {name} agrees with the network to {value:.1f} dB, "
                f"at least {floor:g} are needed; choose a wider precision"
            )


def check_results(backend: str, decibels: Sequence[float], floor: float) -> None:
    """Refuse graphs whose worst result is below the floor. Raises ParityError."""
    worst = min(decibels, default=CEILING)
    if not worst >= floor:
        raise ParityError(
            f"a result by the {backend} graphs agrees with the networks' to {worst:.1f} dB, "
            f"at least {floor:g} are needed; choose a wider precision for the worst component"
        )


def check_meaning(network: Network, program: Component, samples: Sequence[Arrays]) -> float:
    """A program in float64 must do what its network does in float64: the same formula, whatever the rounding.

    Args:
        network: in float32; it is copied.
        program: runs in float64, and takes float64 inputs.
        samples: real inputs.

    Returns:
        The largest relative error of an output.

    Raises:
        ParityError: it is above MEANING_TOLERANCE.
    """
    wide = copy.deepcopy(network).double()
    worst = 0.0
    for inputs in samples:
        widened = {name: _widen(value) for name, value in inputs.items()}
        with torch.inference_mode():
            results = wide(**{name: torch.from_numpy(value) for name, value in widened.items()})
        wanted = results if isinstance(results, tuple) else (results,)
        found = program(**widened)
        for spec, each in zip(network.signature().outputs, wanted, strict=True):
            worst = max(worst, relative_error(each.double().numpy(), found[spec.name]))
    if not worst <= MEANING_TOLERANCE:
        raise ParityError(
            f"{network.component}: the converted program means something else than the network: in float64 they "
            f"differ by {worst:.1e}, at most {MEANING_TOLERANCE:g} is accepted; report the network's construct"
        )
    return worst


def _widen(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float64) if value.dtype == np.float32 else value
