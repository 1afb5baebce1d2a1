"""The protocol: every component, then the pipeline, each in a fresh process, one after the other."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from mobigen import errors
from mobigen.bench.machine import describe_machine, describe_versions
from mobigen.bench.record import SCHEMA_VERSION, Record, describe_bundle, now, select_components
from mobigen.bench.worker import REQUESTS, Job
from mobigen.bundle import Bundle
from mobigen.errors import InputError, MobigenError
from mobigen.runtime import BACKENDS, default_threads

__all__ = ["LEAST_RUNS", "RUNS", "bench", "run_job"]

RUNS = 50
LEAST_RUNS = 20  # fewer say little about the ninetieth percentile
PACKAGES = {"litert": ("ai-edge-litert", "numpy"), "torch": ("torch", "numpy"), "coreml": ("coremltools", "numpy")}

Tell = Callable[[str], None]


def bench(
    bundle: Bundle,
    backend: str = "litert",
    threads: int | None = None,
    runs: int = RUNS,
    minutes: float | None = None,
    components: Sequence[str] = (),
    tell: Tell = lambda line: None,
) -> Record:
    """Measure a bundle on this machine.

    Args:
        bundle: the bundle.
        backend: a name of `mobigen.runtime.BACKENDS`.
        threads: CPU threads; None takes the cores at hand, at most 4.
        runs: after the first one, at least 20.
        minutes: how long each part is to run without a pause, afterwards; None leaves that out.
        components: these alone, without the pipeline; all of them and the pipeline if empty.
        tell: called with a line before each measurement.

    Raises:
        InputError: an argument is not accepted.
        BundleError, WeightsError, MissingExtraError: as opening the bundle on that backend.
        MobigenError: a measuring process ended without an answer.
    """
    if backend not in BACKENDS:
        raise InputError(f"there is no backend {backend!r}; accepted: {', '.join(BACKENDS)}")
    if runs < LEAST_RUNS:
        raise InputError(f"runs is {runs}; accepted: at least {LEAST_RUNS}")
    names: list[str | None] = [*select_components(bundle, components)]
    if not components and bundle.metadata.task in REQUESTS:
        names.append(None)
    used = threads or default_threads()
    measured = {}
    for name in names:
        tell(name or f"the pipeline: {REQUESTS[bundle.metadata.task].name}")
        measured[name] = run_job(Job(str(bundle.folder), name, backend, used, runs, minutes))
    return Record(
        schema_version=SCHEMA_VERSION,
        date=now(),
        machine=describe_machine(),
        versions=describe_versions(PACKAGES[backend]),
        bundle=describe_bundle(bundle, backend),
        backend=backend,
        threads=used,
        runs=runs,
        components={name: each for name, each in measured.items() if name is not None},
        pipeline=measured.get(None),
    )


def run_job(job: Job) -> dict[str, Any]:
    """The fields of `Measurement`, measured in a fresh process.

    Raises:
        MobigenError: as the measurement, or if the process ended without an answer.
    """
    process = subprocess.run(
        [sys.executable, "-m", "mobigen.bench.worker"],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
    )
    try:
        answer = json.loads(process.stdout)
    except ValueError as error:
        raise MobigenError(f"measuring {job.component or 'the pipeline'} failed: {_last_words(process)}") from error
    if "error" in answer:
        raise getattr(errors, answer["error"])(answer["message"])
    return answer["result"]


def _last_words(process: subprocess.CompletedProcess[str]) -> str:
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        return f"its process was ended by {name}" + ("; is there memory enough?" if name == "SIGKILL" else "")
    return (process.stderr.strip().splitlines() or [f"its process ended with {process.returncode}"])[-1]
