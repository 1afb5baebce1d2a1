"""A training step as a CUDA graph: small networks take longer to launch than to compute; this launches all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

__all__ = ["Numbers", "StepGraph"]

Numbers = Mapping[str, float | Tensor]
WARM_STEPS = 3  # before the capture: they compile, choose kernels and make the optimisers' states


class StepGraph:
    """Calls `step` a few times as it is, then captures it once and replays it.

    What the step reads and writes must stay in place: weights, averages, the learning rate and the generator's seed are
    set from outside; the numbers that it returns are overwritten by the next replay.
    """

    def __init__(self, step: Callable[[], Numbers], generator: torch.Generator):
        """`step` must not ask anything back from the device; `generator` is all the randomness that it uses."""
        self.step, self.generator = step, generator
        self.stream = torch.cuda.Stream()
        self.graph = torch.cuda.CUDAGraph()
        self.numbers: Numbers = {}
        self.warm = 0

    def __call__(self) -> Numbers:
        if self.warm < WARM_STEPS:
            self.warm += 1
            return self._as_it_is()
        if not self.numbers:
            self._capture()
        self.graph.replay()
        return self.numbers

    def _as_it_is(self) -> Numbers:
        """On the stream of the capture, where backward passes then expect their gradients."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            numbers = self.step()
        torch.cuda.current_stream().wait_stream(self.stream)
        return numbers

    def _capture(self) -> None:
        self.graph.register_generator_state(self.generator)
        with torch.cuda.graph(self.graph, stream=self.stream):
            self.numbers = self.step()
