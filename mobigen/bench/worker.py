"""One measurement, in a process of its own: `python -m mobigen.bench.worker`, a job on stdin, its result on stdout.

In a process that has measured something else, libraries are warm, memory is fragmented and the high-water mark is
another's.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from mobigen.bench.inputs import SEED, random_inputs, random_picture
from mobigen.bench.memory import drop_from_cache, peak_resident
from mobigen.bench.timing import Sustained, clock, p90, sustain
from mobigen.bundle import Bundle, load_bundle
from mobigen.errors import MobigenError
from mobigen.pipelines import open_pipeline
from mobigen.runtime import BACKENDS, load_component

__all__ = ["REQUESTS", "Job", "Measurement", "measure"]

PHOTO = 512  # pixels a side of what is cut out


class Request(NamedTuple):
    """What a pipeline is asked for, always the same."""

    name: str
    ask: Callable[[Any], object]


def _cut_out(pipeline: Any) -> object:
    """A photo, which costs the same whatever it shows, and a click in its middle."""
    pipeline.set_image(random_picture(PHOTO, PHOTO))
    return pipeline.predict([(PHOTO // 2, PHOTO // 2)], [1])


REQUESTS: Mapping[str, Request] = {  # by task
    "text-to-image": Request("a picture", lambda pipeline: pipeline("a red apple", seed=SEED, output_type="np")),
    "upscale": Request("a picture of 640x360", lambda pipeline: pipeline.upscale(random_picture(640, 360))),
    "cutout": Request("a photo of 512x512 and a click", _cut_out),
}


@dataclass(frozen=True)
class Job:
    """What to measure: a component of a bundle, or its pipeline if `component` is None."""

    bundle: str  # a folder
    component: str | None
    backend: str
    threads: int
    runs: int  # after the first
    minutes: float | None  # of running without a pause, afterwards


@dataclass(frozen=True)
class Measurement:
    """What a job measured, in milliseconds of wall time and bytes of resident memory.

    Attributes:
        what: a run is: "random inputs", or a request to the pipeline.
        load_ms: from a file to something that can run; its sha256 was checked before.
        cold: whether the system was made to forget the file first; if not, an earlier reader may have warmed it.
        median_run_ms, p90_run_ms: of the runs after the first.
        baseline_bytes: the process's high-water mark before loading, with all libraries imported.
        peak_bytes: the same at the end; None where the system does not tell.
        increase_bytes: the difference, which is what the model needs.
    """

    what: str
    load_ms: float
    cold: bool
    first_run_ms: float
    median_run_ms: float
    p90_run_ms: float
    baseline_bytes: int | None
    peak_bytes: int | None
    increase_bytes: int | None
    sustained: Sustained | None


class CheckedBundle(Bundle):
    """A bundle whose graphs have been checked, so that loading one is the runtime's work alone."""

    def graph(self, component: str, backend: str) -> Path:
        """The path of a component's graph, unread."""
        return self.folder / self.metadata.components[component].backends[backend].file


def measure(job: Job) -> Measurement:
    """Do a job. Raises whatever opening the component or the pipeline raises."""
    bundle = load_bundle(Path(job.bundle))
    import_module(BACKENDS[job.backend])
    graphs = _graphs(bundle, job)
    cold = bool(graphs) and all(map(drop_from_cache, graphs))
    prepare = _prepare(CheckedBundle(bundle.folder, bundle.metadata), job)
    prepared: list[Callable[[], object]] = []
    baseline = peak_resident()

    def prepare_and_keep() -> Callable[[], object]:
        prepared.append(prepare())
        return prepared[0]

    load, first, *rest = (round(each, 3) for each in clock(prepare_and_keep, job.runs))
    sustained = sustain(prepared[0], job.minutes) if job.minutes else None
    peak = peak_resident()
    return Measurement(
        what="random inputs" if job.component else REQUESTS[bundle.metadata.task].name,
        load_ms=load,
        cold=cold,
        first_run_ms=first,
        median_run_ms=round(statistics.median(rest), 3),
        p90_run_ms=round(p90(rest), 3),
        baseline_bytes=baseline,
        peak_bytes=peak,
        increase_bytes=None if peak is None or baseline is None else peak - baseline,
        sustained=sustained,
    )


def _graphs(bundle: Bundle, job: Job) -> Sequence[Path]:
    """The files that will be loaded, their contents checked; none where networks are read from weights instead."""
    if job.backend == "torch":
        return ()
    names = [job.component] if job.component else bundle.metadata.components
    return [bundle.graph(name, job.backend) for name in names]


def _prepare(bundle: Bundle, job: Job) -> Callable[[], Callable[[], object]]:
    """A function that loads, and gives back a function that runs."""
    name = job.component
    if name is None:
        ask = REQUESTS[bundle.metadata.task].ask

        def prepare_pipeline() -> Callable[[], object]:
            pipeline = open_pipeline(bundle, job.backend, job.threads)
            return lambda: ask(pipeline)

        return prepare_pipeline
    inputs = random_inputs(bundle.signature(name))

    def prepare_component() -> Callable[[], object]:
        component = load_component(bundle, name, job.backend, job.threads)
        return lambda: component(**inputs)

    return prepare_component


def main() -> None:
    """Read a job, and write its result or its error where nothing else is written."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)  # native libraries print to standard output
        try:
            said: dict[str, Any] = {"result": asdict(measure(Job(**json.load(sys.stdin))))}
        except MobigenError as error:
            said = {"error": type(error).__name__, "message": str(error)}
        json.dump(said, answer)


if __name__ == "__main__":
    main()
