"""The loop with tasks of one small layer: what it computes, how it ends, and how it goes on."""

import json
import math
import os
import signal
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mobigen.errors import ConfigError, WeightsError
from mobigen.train import loop
from mobigen.train.loop import Progress, RunSettings, compile_network, make_optimizers, train
from mobigen.train.muon import Muon
from mobigen.train.task import Loss

SETTINGS = RunSettings(train_batch_size=4, learning_rate=0.01, max_train_steps=8, lr_warmup_steps=3)


def new_layer(seed=0):
    layer = nn.Linear(3, 2)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(seed))
    return layer


class Fitting:
    """Fits a layer to a fixed one; `disturb` is called with every step and may return what to multiply the loss by."""

    def __init__(self, disturb=lambda step: 1.0):
        self.networks = {"student": new_layer()}
        self.frozen = {"teacher": new_layer(1)}
        self.disturb = disturb
        self.steps = []

    def turn(self, step):
        self.steps.append(step)
        return "student"

    def loss(self, turn, batch_size, generator):
        factor = self.disturb(self.steps[-1])
        x = torch.randn(batch_size, 3, generator=generator)
        value = F.mse_loss(self.networks[turn](x), self.frozen["teacher"](x))
        return Loss(value * factor, {"error": value.detach()})

    def save(self, averaged, folder):
        folder.mkdir(parents=True, exist_ok=True)
        torch.save({name: network.state_dict() for name, network in averaged.items()}, folder / "result.pt")


def run(folder, task=None, settings=SETTINGS):
    """Trains and returns the result, the averaged weights by name."""
    train(task or Fitting(), settings, Path(folder) / "run", Path(folder))
    return result_in(folder)


def result_in(folder):
    states = torch.load(Path(folder) / "result.pt")
    return {f"{name}.{key}": value for name, state in states.items() for key, value in state.items()}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


# --- what it computes ---------------------------------------------------------------------------------------


def test_the_loop_is_adamw_with_clipping_a_schedule_and_an_average(tmp_path):
    settings = replace(SETTINGS, max_grad_norm=0.5, ema_decay=0.6)
    student, teacher = new_layer(), new_layer(1)
    averaged = [parameter.detach().clone() for parameter in student.parameters()]
    optimizer = torch.optim.AdamW(student.parameters(), betas=settings.betas, weight_decay=settings.weight_decay)
    for step in range(8):
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step * 1009))
        optimizer.zero_grad()
        F.mse_loss(student(x), teacher(x)).backward()
        nn.utils.clip_grad_norm_(student.parameters(), 0.5)
        cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * step / 8)) / 2
        optimizer.param_groups[0]["lr"] = 0.01 * min(1, (step + 1) / 3) * cosine
        optimizer.step()
        decay = min(0.6, (1 + step) / (10 + step))
        averaged = [decay * old + (1 - decay) * new for old, new in zip(averaged, student.parameters(), strict=True)]
    for wanted, got in zip(averaged, run(tmp_path, settings=settings).values(), strict=True):
        torch.testing.assert_close(got, wanted.detach())


@given(st.integers(0, 300), st.integers(1, 300), st.integers(0, 60), st.floats(1e-5, 1))
def test_the_learning_rate_warms_up_and_falls_to_a_hundredth(step, steps, warmup, peak):
    settings = RunSettings(1, peak, max_train_steps=steps, lr_warmup_steps=warmup)
    progress = Progress(settings)
    progress.step = step
    done = min(step / steps, 1)
    rise = 1 if step + 1 >= warmup else (step + 1) / warmup
    expected = peak * rise * (0.505 + 0.495 * math.cos(math.pi * done))
    assert progress.learning_rate == pytest.approx(expected)


@pytest.mark.parametrize(
    ("minutes", "steps", "fraction"), [(None, 100, 0.25), (10, None, 0.2), (10, 100, 0.25), (6, 100, 1 / 3), (1, 10, 1)]
)
def test_the_end_that_comes_first_counts(minutes, steps, fraction):
    progress = Progress(RunSettings(1, 1, minutes=minutes, max_train_steps=steps))
    progress.step, progress.seconds = 25, 120.0
    assert progress.fraction == pytest.approx(fraction)


class Duel(Fitting):
    """Two networks in turns; the first one's loss reaches through the second."""

    def __init__(self):
        super().__init__()
        self.networks = {"student": new_layer(), "critic": nn.Linear(2, 1)}
        nn.init.ones_(self.networks["critic"].weight)
        nn.init.zeros_(self.networks["critic"].bias)

    def turn(self, step):
        return ("student", "critic")[step % 2]

    def loss(self, turn, batch_size, generator):
        made = self.networks["student"](torch.randn(batch_size, 3, generator=generator))
        if turn == "critic":
            return Loss((self.networks["critic"](made.detach()) - 1).square().mean(), {})
        return Loss(self.networks["critic"](made).square().mean() * 1000, {})


def test_a_turn_changes_only_its_own_network(tmp_path):
    task = Duel()
    before = {name: [p.clone() for p in network.parameters()] for name, network in task.networks.items()}
    train(task, replace(SETTINGS, max_train_steps=1), tmp_path / "run", tmp_path)
    critic = task.networks["critic"].parameters()
    assert all(torch.equal(old, new) for old, new in zip(before["critic"], critic, strict=True))
    assert not torch.equal(before["student"][0], task.networks["student"].weight)


def test_gradients_do_not_leak_into_another_turn(tmp_path):
    """Four turns by hand, where each network's gradient is asked for alone."""
    settings = replace(SETTINGS, max_train_steps=4, lr_warmup_steps=0, max_grad_norm=1e9)
    trained, task = Duel(), Duel()
    train(trained, settings, tmp_path / "run", tmp_path)
    optimizers = {
        name: torch.optim.AdamW(network.parameters(), betas=settings.betas, weight_decay=settings.weight_decay)
        for name, network in task.networks.items()
    }
    for step in range(4):
        turn = task.turn(step)
        parameters = list(task.networks[turn].parameters())
        loss = task.loss(turn, 4, torch.Generator().manual_seed(step * 1009)).value
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizers[turn].param_groups[0]["lr"] = 0.01 * (0.505 + 0.495 * math.cos(math.pi * step / 4))
        optimizers[turn].step()
    for name, network in task.networks.items():
        torch.testing.assert_close(trained.networks[name].state_dict(), network.state_dict())


def test_muon_takes_the_matrices_of_blocks():
    network = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(3, 3)]), "head": nn.Linear(3, 3)})
    network["blocks"][0].table = nn.Parameter(torch.zeros(2, 3))
    muon, adamw = make_optimizers(network, replace(SETTINGS, optimizer="muon"))
    assert isinstance(muon, Muon)
    assert [id(each) for each in muon.param_groups[0]["params"]] == [id(network["blocks"][0].weight)]
    together = muon.param_groups[0]["params"] + adamw.param_groups[0]["params"]
    assert {id(each) for each in together} == {id(each) for each in network.parameters()}
    assert len(together) == 5
    assert [type(each) for each in make_optimizers(nn.Linear(2, 2), replace(SETTINGS, optimizer="muon"))] == [
        torch.optim.AdamW
    ]


def test_muon_takes_the_kernels_of_a_trunk_that_mix_channels():
    mixing, grouped, deep = nn.Conv2d(4, 6, 3), nn.Conv2d(6, 6, 3, groups=2), nn.Conv2d(6, 6, 3, groups=6)
    network = nn.ModuleDict({"trunk": nn.Sequential(mixing, grouped, deep), "tail": nn.Conv2d(6, 4, 3)})
    muon, _ = make_optimizers(network, replace(SETTINGS, optimizer="muon"))
    assert [id(each) for each in muon.param_groups[0]["params"]] == [id(mixing.weight), id(grouped.weight)]


# --- repeating ----------------------------------------------------------------------------------------------


def test_the_same_seed_repeats_bit_for_bit_and_another_does_not(tmp_path):
    one = run(tmp_path / "one")
    assert_equal(run(tmp_path / "two"), one)
    other = run(tmp_path / "three", settings=replace(SETTINGS, seed=1))
    assert not torch.equal(other["student.weight"], one["student.weight"])


# --- interruptions ------------------------------------------------------------------------------------------


def raise_at(step):
    def disturb(now):
        if now == step:
            raise KeyboardInterrupt
        return 1.0

    return disturb


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("step", [0, 3, 7])
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(tmp_path, step, optimizer, capsys):
    settings = replace(SETTINGS, optimizer=optimizer)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "one", Fitting(raise_at(step)), settings)
    assert not (tmp_path / "one" / "result.pt").exists()
    assert f"interrupted at step {step}; saving" in capsys.readouterr().err
    task = Fitting()
    resumed = run(tmp_path / "one", task, settings)
    assert task.steps == list(range(step, 8))
    assert f"resumed at step {step}" in capsys.readouterr().err
    assert_equal(resumed, run(tmp_path / "two", settings=settings))
    assert {path.name for path in (tmp_path / "one" / "run").iterdir()} == {"checkpoint", "log.jsonl", "settings.json"}


def press_ctrl_c(times):
    def disturb(now):
        for _ in range(times if now == 3 else 0):
            os.kill(os.getpid(), signal.SIGINT)
        return 1.0

    return disturb


def test_ctrl_c_waits_for_the_end_of_the_step(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    task = Fitting(press_ctrl_c(1))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "one", task)
    assert signal.getsignal(signal.SIGINT) is before
    again = Fitting()
    resumed = run(tmp_path / "one", again)
    assert task.steps + again.steps == list(range(8))
    assert_equal(resumed, run(tmp_path / "two"))


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    task, again = Fitting(press_ctrl_c(2)), Fitting()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "one", task)
    resumed = run(tmp_path / "one", again)
    assert again.steps[0] == task.steps[-1] == 3
    assert_equal(resumed, run(tmp_path / "two"))


def test_a_run_in_a_thread_leaves_signals_alone(tmp_path):
    thread = threading.Thread(target=run, args=(tmp_path / "one",))
    thread.start()
    thread.join()
    assert_equal(result_in(tmp_path / "one"), run(tmp_path / "two"))


def test_a_longer_run_goes_on_from_a_finished_one(tmp_path):
    run(tmp_path)
    task = Fitting()
    run(tmp_path, task, replace(SETTINGS, max_train_steps=11))
    assert task.steps == [8, 9, 10]


def test_a_finished_run_is_not_trained_on(tmp_path):
    first, task = run(tmp_path), Fitting()
    assert_equal(run(tmp_path, task), first)
    assert task.steps == []


# --- checkpoints --------------------------------------------------------------------------------------------


def test_a_kill_between_two_checkpoints_loses_nothing(tmp_path, monkeypatch):
    """The old checkpoint is already out of the way, the new one not yet in its place."""
    run(tmp_path, settings=replace(SETTINGS, max_train_steps=4))
    rename = Path.rename

    def killed(self, target):
        if self.name == "checkpoint.partial":
            raise MemoryError
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(MemoryError):
            run(tmp_path, settings=replace(SETTINGS, max_train_steps=6))
    assert not (tmp_path / "run" / "checkpoint").exists()
    task = Fitting()
    run(tmp_path, task, replace(SETTINGS, max_train_steps=6))
    assert task.steps == [4, 5]
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"checkpoint", "log.jsonl", "settings.json"}


def test_checkpoints_are_written_on_the_way(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(loop.Run, "save", lambda self: saved.append(self.progress.step))
    run(tmp_path, settings=replace(SETTINGS, checkpointing_minutes=0, max_train_steps=3))
    assert saved == [1, 2, 3, 3]


class Wider(Fitting):
    """The same task with another layer."""

    def __init__(self):
        super().__init__()
        self.networks = {"student": nn.Linear(3, 5)}


def damage(folder):
    for path in (folder / "run" / "checkpoint").iterdir():
        path.write_bytes(b"soup")


def empty(folder):
    for path in (folder / "run" / "checkpoint").iterdir():
        path.unlink()


@pytest.mark.parametrize("spoil", [damage, empty])
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path, spoil):
    run(tmp_path)
    spoil(tmp_path)
    with pytest.raises(WeightsError, match=r"checkpoint cannot be resumed .* remove it to start afresh") as caught:
        run(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    run(tmp_path)
    with pytest.raises(WeightsError, match="cannot be resumed"):
        run(tmp_path, Wider())


# --- ends ---------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only where a task lets it."""
    now = [100.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])
    return now


def test_minutes_are_counted_over_all_sittings_without_the_first_step_of_each(tmp_path, clock):
    def disturb(step):
        clock[0] += 20
        if step == 3 and not seen:
            seen.append(step)
            raise KeyboardInterrupt
        return 1.0

    seen = []
    settings = replace(SETTINGS, max_train_steps=None, minutes=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Fitting(disturb), settings)
    progress = train(Fitting(disturb), settings, tmp_path / "run", tmp_path)
    # 0 compiles, 1 and 2 count; then 3 compiles again, and four more make two minutes
    assert (progress.step, progress.seconds) == (8, 120.0)


def test_what_the_device_has_yet_to_do_is_counted(tmp_path, clock, monkeypatch):
    """A step is launched in no time, and takes 5 seconds of the device, which are waited for in `catch_up`."""
    launched, plain = [], loop.Run.catch_up
    waited = []

    def catch_up(self):
        waited.append(len(launched))
        clock[0] += 5 * len(launched)
        launched.clear()
        plain(self)

    monkeypatch.setattr(loop.Run, "catch_up", catch_up)
    settings = replace(SETTINGS, max_train_steps=25)
    progress = train(Fitting(lambda step: launched.append(step) or 1.0), settings, tmp_path / "run", tmp_path)
    assert progress.seconds == 24 * 5  # without the first
    assert 1 < max(waited) <= loop.AHEAD


def test_a_report_is_a_line_of_the_log(tmp_path, clock, capsys):
    def disturb(step):
        clock[0] += 6
        return 1.0

    run(tmp_path, Fitting(disturb), replace(SETTINGS, max_train_steps=5))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 5]
    assert set(lines[0]) == {"step", "seconds", "student", "student_grad_norm", "error"}
    assert " 40%  step 2  student_grad_norm " in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["max_train_steps"] == 5


class NothingReadBack(TorchDispatchMode):
    """Fails where Python asks for a number in a tensor, or a shape made of them: what would wait for a GPU."""

    WAITS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func not in self.WAITS
        return func(*args, **(kwargs or {}))


class FittingBlocks(Fitting):
    """With a network whose matrices Muon takes."""

    def __init__(self, disturb=lambda step: 1.0):
        super().__init__(disturb)
        torch.manual_seed(0)
        blocks = [nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)) for _ in range(2)]
        self.networks = {"student": nn.Sequential(OrderedDict(blocks=nn.Sequential(*blocks), last=nn.Linear(3, 2)))}


def test_a_step_does_not_wait_for_the_device(tmp_path):
    started = loop.Run(FittingBlocks(), replace(SETTINGS, optimizer="muon"), tmp_path)
    for step in range(3):
        with NothingReadBack():
            started.step(started.task.turn(step))
        with pytest.raises(AssertionError), NothingReadBack():
            started.catch_up()


def whole_state(started):
    """Weights, averages and the optimisers' states, as tensors in order."""
    parts = [
        *(parameter for network in started.task.networks.values() for parameter in network.parameters()),
        *(value for average in started.averages.values() for value in average.network.state_dict().values()),
        *(average.updates for average in started.averages.values()),
        *(value for each in started.optimizers["student"] for state in each.state.values() for value in state.values()),
    ]
    return [part.detach().clone() for part in parts]


@pytest.mark.parametrize("factor", [math.nan, math.inf])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_skipped_step_changes_no_weight_average_or_optimiser(tmp_path, optimizer, factor):
    task = FittingBlocks(lambda step: factor if step == 2 else 1.0)
    started = loop.Run(task, replace(SETTINGS, optimizer=optimizer), tmp_path)
    states = []
    for step in range(4):
        started.step(task.turn(step))
        states.append(whole_state(started))
        assert float(started.wasted) == (step == 2)
    assert len(states[0]) > 20
    assert all(torch.equal(old, new) for old, new in zip(states[1], states[2], strict=True))
    assert not any(torch.equal(old, new) for old, new in zip(states[2], states[3], strict=True))


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_steps_that_are_not_finite_are_skipped(tmp_path, factor):
    def at_three(step):
        return factor if step == 3 else 1.0

    weights = []

    class Watched(Fitting):
        def loss(self, turn, batch_size, generator):
            weights.append(self.networks[turn].weight.detach().clone())
            return super().loss(turn, batch_size, generator)

    result = run(tmp_path, Watched(at_three))
    assert all(torch.isfinite(value).all() for value in result.values())
    assert torch.equal(weights[3], weights[4])
    assert not torch.equal(weights[4], weights[5])


def test_too_many_of_them_in_a_row_end_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "PATIENCE", 3)
    with pytest.raises(ConfigError, match="not finite for 3 steps; lower --learning-rate"):
        run(tmp_path / "one", Fitting(lambda step: math.nan if step in (1, 3, 4, 5) else 1.0))
    assert not (tmp_path / "one" / "result.pt").exists()
    run(tmp_path / "two", Fitting(lambda step: math.nan if step in (1, 2, 4, 5) else 1.0))


def test_fifty_of_them_end_a_long_run_soon(tmp_path):
    task = Fitting(lambda step: math.nan if step >= 5 else 1.0)
    with pytest.raises(ConfigError, match="not finite for 50 steps"):
        run(tmp_path, task, replace(SETTINGS, max_train_steps=1000))
    assert 54 <= task.steps[-1] < 54 + loop.AHEAD


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"max_train_steps": None}, "a run needs an end"),
        ({"max_train_steps": 0}, "must be above 0"),
        ({"minutes": 0}, "must be above 0"),
        ({"minutes": -1.0}, "must be above 0"),
        ({"train_batch_size": 0}, "train_batch_size must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate above 0"),
        ({"learning_rate": math.nan}, "learning_rate above 0"),
        ({"mixed_precision": "fp16"}, "'fp16'; accepted: no, bf16"),
        ({"minutes": math.nan}, "must be above 0"),
        ({"lr_warmup_steps": -1}, "must be 0 or more"),
        ({"checkpointing_minutes": math.nan}, "must be 0 or more"),
        ({"optimizer": "sgd"}, "'sgd'; accepted: adamw, muon"),
        ({"ema_decay": 1.0}, "ema_decay 1.0; accepted"),
        ({"ema_decay": -0.1}, "ema_decay -0.1; accepted"),
    ],
)
def test_settings_that_cannot_work(change, complaint):
    with pytest.raises(ConfigError, match=complaint):
        replace(SETTINGS, **change)


# --- compiling ----------------------------------------------------------------------------------------------


class Block(nn.Module):
    """A layer, and a column of zeros."""

    def __init__(self, seed):
        super().__init__()
        self.layer = new_layer(seed)

    def forward(self, x):
        return F.pad(torch.relu(self.layer(x)), (0, 1))


class Stack(nn.Module):
    """Two blocks alike and a layer."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(0), Block(1)])
        self.last = nn.Linear(3, 1)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.last(x)


@torch.no_grad()
def compiled(monkeypatch, network):
    """What `compile_network` compiles of a network, by name, and the graphs that two batches of each size give."""
    graphs = []

    def count(graph, example_inputs):
        graphs.append(graph)
        return graph.forward

    plain = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **options: plain(self, backend=count, **options))
    torch.compiler.reset()
    want = [network(torch.ones(size, 3)) for size in (2, 5)]
    compile_network(network)
    for _ in range(2):
        for size, expected in zip((2, 5), want, strict=True):
            torch.testing.assert_close(network(torch.ones(size, 3)), expected)
    names = {name for name, part in network.named_modules() if part._compiled_call_impl is not None}
    return names, len(graphs)


def test_blocks_that_are_alike_are_compiled_once_for_each_size_of_batch(monkeypatch):
    assert compiled(monkeypatch, Stack()) == ({"blocks.0", "blocks.1"}, 2)


def test_a_network_without_blocks_is_compiled_whole(monkeypatch):
    assert compiled(monkeypatch, Block(0)) == ({""}, 2)
