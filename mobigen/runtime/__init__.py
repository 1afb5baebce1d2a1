"""Backends that run a bundle's components, one file each, all with the same call: NumPy in, NumPy out."""

import os
from collections.abc import Mapping
from importlib import import_module
from os import PathLike
from typing import Protocol

import numpy as np

from mobigen.bundle import Bundle
from mobigen.errors import InputError
from mobigen.signature import Signature

__all__ = ["BACKENDS", "Component", "check_inputs", "default_threads", "load_component"]

MOST_THREADS = 4  # by default: phones have about that many fast cores, and small graphs gain nothing beyond

BACKENDS: dict[str, str] = {  # each module has load(bundle, name, threads, weights) -> Component
    "litert": "mobigen.runtime.litert",
    "coreml": "mobigen.runtime.coreml",
    "torch": "mobigen.runtime.torch",
}


class Component(Protocol):
    """One network, ready to run."""

    signature: Signature

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Run the network on arrays of the signature's names, shapes and dtypes.

        Raises:
            InputError: an array is missing, unknown, or of another shape or dtype.
        """


def load_component(
    bundle: Bundle,
    name: str,
    backend: str = "litert",
    threads: int | None = None,
    weights: str | PathLike[str] | None = None,
) -> Component:
    """A component of a bundle on the chosen backend.

    Args:
        bundle: where signatures, and the graphs of "litert" and "coreml", come from.
        name: the component, "denoiser" say.
        backend: a name of BACKENDS.
        threads: CPU threads; None leaves the choice to the backend.
        weights: the model's weights folder, for "torch" only; None looks in the usual places.

    Raises:
        InputError: there is no such backend, or `threads` is not positive.
        BundleError, WeightsError: the graph or the weights are missing or damaged.
        MissingExtraError: the backend needs an optional dependency.
    """
    if backend not in BACKENDS:
        raise InputError(f"there is no backend {backend!r}; accepted: {', '.join(BACKENDS)}")
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; accepted: 1 or more, or none to let the backend choose")
    return import_module(BACKENDS[backend]).load(bundle, name, threads, weights)


def default_threads() -> int:
    """The cores at hand, at most 4."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def check_inputs(signature: Signature, inputs: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that a graph would misread. Raises InputError that names the first difference."""
    names = [spec.name for spec in signature.inputs]
    if set(names) != set(inputs):
        raise InputError(
            f"{signature.component} takes {', '.join(names)}; it was given {', '.join(inputs) or 'nothing'}"
        )
    for spec in signature.inputs:
        value = inputs[spec.name]
        if value.shape != spec.shape or value.dtype != spec.dtype:
            found, accepted = f"{value.dtype} {value.shape}", f"{spec.dtype} {spec.shape}"
            raise InputError(f"{signature.component}: {spec.name} is {found}; accepted: {accepted}")
