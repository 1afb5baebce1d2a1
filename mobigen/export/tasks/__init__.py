"""What the export asks of a task: requests, and a run of its pipeline that leaves a trail to compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from mobigen.export.source import Source
from mobigen.export.tasks import cutout, networks, text_to_image, upscale
from mobigen.export.tasks.trail import Requests, Trail
from mobigen.runtime import Component

__all__ = ["TASKS", "ExportTask", "Requests", "Trail"]


class ExportTask(Protocol):
    """A module of this room, by the name of its task."""

    RESULT_FLOOR: float  # dB that the result of each parity request must reach

    def check(self, source: Source) -> None:
        """The constants of the pipeline must be those of its networks. Raises ExportError."""

    def requests(self, source: Source) -> Requests:
        """What its pipeline is asked for."""

    def run(self, source: Source, components: Mapping[str, Component], requests: Sequence[Any]) -> Iterator[Trail]:
        """The pipeline on these components, one trail a request; the same noise whatever the components."""


TASKS: dict[str, ExportTask] = {
    "cutout": cutout,
    "networks": networks,
    "text-to-image": text_to_image,
    "upscale": upscale,
}
