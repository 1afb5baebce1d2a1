"""A step as a CUDA graph: on a processor, that it is captured once and what is refused; the rest needs a GPU."""

from contextlib import nullcontext

import pytest
import torch

from mobigen.data.draw import host_generator
from mobigen.errors import ConfigError
from mobigen.train.graph import WARM_STEPS, StepGraph
from mobigen.train.loop import RunSettings, train


class RecordedGraph:
    """Does what CUDA's does: a capture runs nothing, a replay repeats what was captured."""

    def __init__(self):
        self.registered, self.captured, self.replays = [], None, 0

    def register_generator_state(self, generator):
        self.registered.append(generator)

    def replay(self):
        assert self.captured, "nothing was captured"
        self.replays += 1


class QuietStream:
    """Waits for nothing."""

    def wait_stream(self, other):
        assert isinstance(other, QuietStream)


@pytest.fixture
def cuda(monkeypatch):
    def capture(graph, stream):
        graph.captured = stream
        return nullcontext()

    monkeypatch.setattr(torch.cuda, "Stream", QuietStream)
    monkeypatch.setattr(torch.cuda, "current_stream", QuietStream)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", RecordedGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)


def test_a_step_is_warmed_up_then_captured_once_and_replayed(cuda):
    calls, generator = [], torch.Generator()
    step = StepGraph(lambda: calls.append(1) or {"loss": float(len(calls))}, generator)
    assert [step()["loss"] for _ in range(WARM_STEPS)] == list(range(1, WARM_STEPS + 1))
    assert step.graph.captured is None
    for _ in range(5):
        assert step()["loss"] == WARM_STEPS + 1  # of the capture, in place
    assert len(calls) == WARM_STEPS + 1
    assert (step.graph.replays, step.graph.captured) == (5, step.stream)
    assert step.graph.registered == [generator]


def test_without_a_gpu_graphs_are_refused(tmp_path):
    settings = RunSettings(train_batch_size=1, learning_rate=1e-3, max_train_steps=1, cuda_graphs=True)
    with pytest.raises(ConfigError, match="CUDA GPU"):
        train(object(), settings, tmp_path, tmp_path)


def test_what_is_decided_on_the_host_cannot_be_captured(monkeypatch):
    class OnTheDevice:
        device = torch.device("cuda")

        def initial_seed(self):
            return 7

    capturing = []
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: bool(capturing))
    assert host_generator(OnTheDevice()).initial_seed() == 7
    capturing.append(1)
    with pytest.raises(ConfigError, match="cuda_graphs"):
        host_generator(OnTheDevice())
