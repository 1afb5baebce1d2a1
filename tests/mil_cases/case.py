"""One operation of MIL, called in one way, with what it must give by a formula of NumPy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Case:
    """`build(mb, **inputs)` makes the operation; `expected(*inputs)` gets them in that order, floats in float64."""

    name: str
    inputs: dict[str, np.ndarray]
    build: Callable
    expected: Callable
    target: str = "iOS15"  # the operation set


def wide(array):
    """Floats in float64, integers as they are."""
    return array.astype(np.float64) if array.dtype == np.float32 else array


def draw(*shape, seed=0, low=-2.0, high=2.0):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def integers(*shape, low=0, high=10, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.int32)
