"""Requests to a pipeline, the trail that each leaves, and components that keep what they are called with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mobigen.runtime import Component

__all__ = ["Arrays", "Recorder", "Requests", "Trail", "recorders"]

Arrays = dict[str, np.ndarray]


class Requests(NamedTuple):
    """What a pipeline is asked for while it is watched."""

    parity: Sequence[Any]  # what agreement is measured on
    calibration: Sequence[Any]  # what ranges are fitted to: none of the above


@dataclass(frozen=True)
class Trail:
    """What came of one request: the state after each step, where there are steps, and what a person gets."""

    steps: tuple[np.ndarray, ...]
    result: np.ndarray | None  # None where there is no pipeline


class Recorder:
    """A component that keeps the inputs of every call, in order.

    Parity on random numbers says little, since the states of words and half-denoised latents are nothing like
    normal noise: what reaches each network while a pipeline works is what its graph is judged on.
    """

    def __init__(self, component: Component) -> None:
        self.signature = component.signature
        self.calls: list[Arrays] = []
        self._component = component

    def __call__(self, **inputs: np.ndarray) -> Arrays:
        """As the component's."""
        self.calls.append(inputs)
        return self._component(**inputs)


def recorders(components: Mapping[str, Component]) -> dict[str, Recorder]:
    """One around each component."""
    return {name: Recorder(component) for name, component in components.items()}
