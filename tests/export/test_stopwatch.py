"""A network's time through LiteRT."""

import pytest

pytest.importorskip("litert_torch")

from tiny_networks import tiny

from mobigen.bench.timing import Timing
from mobigen.export import stopwatch
from mobigen.export.stopwatch import time_network
from mobigen.models.plain_upscaler import PlainUpscaler


def test_the_median_run_of_the_converted_graph(monkeypatch):
    seen = []

    def time_component(open_component, inputs, threads):
        seen.append((open_component()(**inputs)["upscaled"].shape, threads))
        return Timing(threads, 3.0, 2.0, 1.5)

    monkeypatch.setattr(stopwatch, "time_component", time_component)
    assert time_network(tiny(PlainUpscaler).fuse(), 1) == 1.5
    assert seen == [((1, 3, 24, 32), 1)]
