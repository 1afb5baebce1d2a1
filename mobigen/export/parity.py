"""Parity: how closely a graph follows its network, in dB, and the gate that every graph must pass."""

from collections.abc import Mapping, Sequence

import numpy as np

from mobigen.errors import ParityError
from mobigen.runtime import Component

__all__ = ["CEILING", "FLOORS", "check_parity", "compare", "floor_of", "psnr"]

Arrays = Mapping[str, np.ndarray]

FLOORS = {"float32": 40.0, "float16": 40.0, "int8": 30.0, "uint8": 30.0}  # dB, by what a precision's name begins with
CEILING = 200.0  # dB of outputs that are equal: JSON has no infinity, and float32 ends near 150


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


def compare(reference: Component, candidate: Component, samples: Sequence[Arrays]) -> dict[str, float]:
    """The dB of each output of `candidate` against `reference`, the lowest over the samples of inputs."""
    worst: dict[str, float] = {}
    for inputs in samples:
        wanted, found = reference(**inputs), candidate(**inputs)
        for name, values in wanted.items():
            worst[name] = min(worst.get(name, CEILING), psnr(values, found[name]))
    return worst


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
