"""The training loop: any task, one process or many, time-boxed, resumed by the same command.

Distribution, gradient synchronisation and checkpoints are accelerate's. Batches are drawn from a generator seeded by
(seed, step, process), so a resumed run sees the batches that an uninterrupted one would. A step asks nothing back from
the device, so that launches run ahead of a GPU: even whether an update is skipped is decided there.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import broadcast
from safetensors import SafetensorError
from torch import Tensor, nn

from mobigen.errors import ConfigError, WeightsError
from mobigen.train.average import MovingAverage
from mobigen.train.graph import Numbers, StepGraph
from mobigen.train.interrupt import interruptions_at_ends_of_steps
from mobigen.train.muon import Muon
from mobigen.train.task import Loss, Task, bare

__all__ = ["REPORT_EVERY", "RunSettings", "train"]

PATIENCE = 50  # non-finite steps in a row before a run gives up
REPORT_EVERY = 10.0  # seconds
AHEAD = 10  # steps at most that launches run ahead of the device, so that a clock beside them is right


@dataclass(frozen=True)
class RunSettings:
    """How a task is trained; names as in accelerate's and diffusers' scripts.

    Raises:
        ConfigError: a value that cannot work, or no limit on the run.
    """

    train_batch_size: int  # per process
    learning_rate: float  # at its peak
    minutes: float | None = None  # of training, over all sittings; compiling is not counted
    max_train_steps: int | None = None
    optimizer: str = "adamw"  # or "muon", for the matrices and kernels inside a network
    lr_warmup_steps: int = 100
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    max_grad_norm: float = 1.0
    ema_decay: float = 0.999
    mixed_precision: str = "no"  # or "bf16"
    compile: bool = False
    cuda_graphs: bool = False  # a step is one launch: several times as fast where networks are small
    checkpointing_minutes: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes is None and self.max_train_steps is None:
            raise ConfigError("a run needs an end: give --minutes or --max-train-steps")
        if not all(end is None or end > 0 for end in (self.minutes, self.max_train_steps)):  # NaN is not above 0
            raise ConfigError("minutes and max_train_steps must be above 0; leave out the one that is not meant")
        if self.lr_warmup_steps < 0 or not self.checkpointing_minutes >= 0:
            raise ConfigError("lr_warmup_steps and checkpointing_minutes must be 0 or more")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay {self.ema_decay}; accepted: from 0 to below 1")
        if self.train_batch_size < 1 or not self.learning_rate > 0:
            raise ConfigError("train_batch_size must be at least 1 and learning_rate above 0")
        if self.mixed_precision not in ("no", "bf16"):
            raise ConfigError(f"mixed_precision {self.mixed_precision!r}; accepted: no, bf16")
        if self.optimizer not in ("adamw", "muon"):
            raise ConfigError(f"optimizer {self.optimizer!r}; accepted: adamw, muon")


class Progress:
    """How far a run is: steps done and seconds trained, over all its sittings."""

    def __init__(self, settings: RunSettings):
        self.settings = settings
        self.step = 0
        self.seconds = 0.0

    @property
    def fraction(self) -> float:
        """From 0 to 1, the run's end."""
        steps = self.step / self.settings.max_train_steps if self.settings.max_train_steps else 0.0
        spent = self.seconds / 60 / self.settings.minutes if self.settings.minutes else 0.0
        return min(max(steps, spent), 1.0)

    @property
    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine to 1 % of the peak at the run's end."""
        warm = min(1.0, (self.step + 1) / max(self.settings.lr_warmup_steps, 1))
        return self.settings.learning_rate * warm * (0.01 + 0.99 * (1 + math.cos(math.pi * self.fraction)) / 2)

    def advance(self, seconds: float) -> None:
        """Counts a step that took `seconds`."""
        self.step += 1
        self.seconds += seconds

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]


class Run:
    """A task on its devices, with optimisers, averages and a checkpoint folder."""

    def __init__(self, task: Task, settings: RunSettings, folder: Path):
        self.task, self.settings, self.folder = task, settings, folder
        self.accelerator = Accelerator()
        if settings.cuda_graphs and (self.accelerator.device.type != "cuda" or self.accelerator.num_processes > 1):
            raise ConfigError("cuda_graphs needs a CUDA GPU and a single process; leave it out here")
        torch.manual_seed(settings.seed)
        self._place_frozen()
        self.averages: dict[str, MovingAverage] = {}
        self.optimizers: dict[str, list[AcceleratedOptimizer]] = {}
        for name, network in task.networks.items():
            self._prepare(name, network.to(self.accelerator.device).train())
        self.progress = Progress(settings)
        self.accelerator.register_for_checkpointing(self.progress, *self.averages.values())
        self.generator = torch.Generator(self.accelerator.device)
        self.rate = torch.zeros((), device=self.accelerator.device)  # the learning rate of this step
        self.wasted = torch.zeros((), device=self.accelerator.device)  # non-finite steps in a row
        self.graphs: dict[str, StepGraph] = {}

    def _place_frozen(self) -> None:
        for network in self.task.frozen.values():
            network.to(self.accelerator.device).eval().requires_grad_(False)
            if self.settings.compile:
                compile_network(network)

    def _prepare(self, name: str, network: nn.Module) -> None:
        """Wraps a network, which gives all processes the main one's weights, and then begins its average."""
        optimizers = make_optimizers(network, self.settings)
        average = copy.deepcopy(network)
        if self.settings.compile:
            compile_network(network)
        wrapped, *prepared = self.accelerator.prepare(network, *optimizers)
        average.load_state_dict(bare(wrapped).state_dict())
        self.averages[name] = MovingAverage(average, self.settings.ema_decay)
        self.task.networks[name], self.optimizers[name] = wrapped, prepared

    def save(self) -> None:
        """Writes a whole checkpoint beside the old one, then swaps them; at every moment one of them is whole."""
        partial, current, old = (self.folder / f"checkpoint{suffix}" for suffix in (".partial", "", ".old"))
        self.accelerator.save_state(str(partial))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            if current.is_dir():
                shutil.rmtree(old, ignore_errors=True)
                current.rename(old)
            partial.rename(current)
            shutil.rmtree(old, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Goes on from the last whole checkpoint, if there is one."""
        for checkpoint in (self.folder / "checkpoint", self.folder / "checkpoint.old"):
            if checkpoint.is_dir():
                self._load(checkpoint)
                self.tell(f"resumed at step {self.progress.step}")
                return

    def _load(self, checkpoint: Path) -> None:
        """Raises WeightsError if it is of another network, or damaged."""
        try:
            self.accelerator.load_state(str(checkpoint))
        except (RuntimeError, ValueError, KeyError, OSError, SafetensorError, EOFError, UnpicklingError) as error:
            reason = " ".join(str(error).split())
            raise WeightsError(f"{checkpoint} cannot be resumed ({reason}); remove it to start afresh") from error

    def step(self, turn: str) -> Numbers:
        """One update of network `turn`, launched; a non-finite gradient changes no weight, average or optimiser.

        Returns:
            What to report: the loss, its parts and the norm of its gradient, on the device.
        """
        self.generator.manual_seed(self._batch_seed())
        self.rate.fill_(self.progress.learning_rate)
        if not self.settings.cuda_graphs:
            return self._learn(turn)
        if turn not in self.graphs:
            self.graphs[turn] = StepGraph(partial(self._learn, turn), self.generator)
        return self.graphs[turn]()

    def _learn(self, turn: str) -> Numbers:
        loss = self._backward(turn)
        parameters = self.task.networks[turn].parameters()
        norm = self.accelerator.clip_grad_norm_(parameters, self.settings.max_grad_norm)
        skipped = (~norm.isfinite()).float()
        self._update(turn, skipped)
        self.wasted.copy_((self.wasted + 1) * skipped.maximum((self.wasted >= PATIENCE).float()))  # stays at PATIENCE
        return {f"{turn}_grad_norm": norm, turn: loss.value.detach(), **loss.parts}

    def catch_up(self) -> None:
        """Waits until the device has done every step so far.

        Raises:
            ConfigError: PATIENCE steps in a row were skipped.
        """
        if float(self.wasted) >= PATIENCE:
            raise ConfigError(f"the loss was not finite for {PATIENCE} steps; lower --learning-rate and start afresh")

    def _backward(self, turn: str) -> Loss:
        for optimizer in [each for several in self.optimizers.values() for each in several]:
            optimizer.zero_grad()  # of every network: a loss may reach through one that is not learning now
        bfloat16 = self.settings.mixed_precision == "bf16"
        with torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=bfloat16):
            loss = self.task.loss(turn, self.settings.train_batch_size, self.generator)
        self.accelerator.backward(loss.value)
        return loss

    def _update(self, turn: str, skipped: Tensor) -> None:
        for optimizer in self.optimizers[turn]:
            for group in optimizer.param_groups:
                group["lr"] = self.rate
            optimizer.optimizer.found_inf = skipped  # where torch's GradScaler says it to fused optimisers
            optimizer.step()
        self.averages[turn].update(bare(self.task.networks[turn]), skipped)

    def _batch_seed(self) -> int:
        return (self.settings.seed * 1_000_003 + self.progress.step) * 1_009 + self.accelerator.process_index

    def agree(self, *numbers: float) -> list[float]:
        """The main process's `numbers`, in every process: what is decided by a clock or a key is decided once."""
        if self.accelerator.num_processes == 1:
            return list(numbers)
        return broadcast(torch.tensor(numbers, device=self.accelerator.device)).tolist()

    def tell(self, line: str) -> None:
        """Prints a line on standard error, once for all processes."""
        if self.accelerator.is_main_process:
            print(line, file=sys.stderr, flush=True)

    def log(self, numbers: Numbers) -> None:
        """Adds a line to log.jsonl and prints it."""
        record = {
            "step": self.progress.step,
            "seconds": self.progress.seconds,
            **{k: float(v) for k, v in numbers.items()},
        }
        if self.accelerator.is_main_process:
            with (self.folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(record) + "\n")
        shown = "  ".join(f"{name} {value:.4g}" for name, value in record.items() if name not in ("step", "seconds"))
        self.tell(f"{self.progress.fraction:4.0%}  step {self.progress.step}  {shown}")


def compile_network(network: nn.Module) -> None:
    """Compiles what repeats, a transformer's `blocks`, once for all of them; a network without blocks as a whole.

    Every shape of batch is compiled for itself: a task has few, and kernels for any size are slower.
    """
    lists = [part for name, part in network.named_modules() if name.split(".")[-1] == "blocks"]
    for part in [block for blocks in lists for block in blocks.children()] or [network]:
        part.compile(dynamic=False)


def make_optimizers(network: nn.Module, settings: RunSettings) -> list[torch.optim.Optimizer]:
    """AdamW over all weights; or Muon over what `is_matrix` says and AdamW over the rest.

    All heed `found_inf`, as of torch's optimisers only the fused ones do, and take a learning rate on the device.
    """
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (matrices if settings.optimizer == "muon" and is_matrix(name, parameter) else others).append(parameter)
    adamw = torch.optim.AdamW(
        others,
        settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
        capturable=settings.cuda_graphs,
    )
    if not matrices:
        return [adamw]
    return [Muon(matrices, settings.learning_rate, settings.weight_decay), adamw]


def is_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether a weight is a matrix, or a kernel that mixes channels, of a network's blocks or trunk."""
    inside = not {"blocks", "trunk"}.isdisjoint(name.split(".")) and "table" not in name
    return inside and (parameter.ndim == 2 or (parameter.ndim == 4 and parameter.shape[1] > 1))


@contextmanager
def saved_when_interrupted(run: Run) -> Iterator[None]:
    """Keeps what was trained when a person presses Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        run.tell(f"interrupted at step {run.progress.step}; saving, the same command goes on from here")
        run.save()
        raise


def train(task: Task, settings: RunSettings, folder: Path, result: Path) -> Progress:
    """Trains `task` until its limit, from the checkpoint in `folder` if there is one, and saves the averaged networks.

    Args:
        task: what to train.
        settings: how.
        folder: takes checkpoint/, log.jsonl and settings.json.
        result: takes what `task.save` writes at the end.

    Raises:
        ConfigError: the loss stayed non-finite for PATIENCE steps.
        WeightsError: the checkpoint is damaged or of another network.
    """
    run = Run(task, settings, folder)
    folder.mkdir(parents=True, exist_ok=True)
    if run.accelerator.is_main_process:
        (folder / "settings.json").write_text(json.dumps(asdict(settings), indent=2))
    run.resume()
    with saved_when_interrupted(run), interruptions_at_ends_of_steps() as interrupted:
        _train_until_end(run, interrupted)
    run.save()
    if run.accelerator.is_main_process:
        task.save({name: average.network for name, average in run.averages.items()}, result)
    run.accelerator.wait_for_everyone()
    return run.progress


def _train_until_end(run: Run, interrupted: Callable[[], bool]) -> None:
    """Raises KeyboardInterrupt after the step in which `interrupted` became true."""
    reported = saved = time.monotonic()
    compiled = set()
    while run.progress.fraction < 1:
        started = time.monotonic()
        turn = run.task.turn(run.progress.step)
        numbers = run.step(turn)
        now = time.monotonic()
        report = now - reported > REPORT_EVERY or run.progress.step + 1 == run.settings.max_train_steps
        due = now - saved > run.settings.checkpointing_minutes * 60
        if turn not in compiled or report or due or run.progress.step % AHEAD == 0:
            run.catch_up()
        spent = time.monotonic() - started if turn in compiled else 0.0  # a network's first step compiles it
        compiled.add(turn)
        spent, stop, save = run.agree(spent, interrupted(), due)
        run.progress.advance(spent)
        if stop:
            raise KeyboardInterrupt
        if report or run.progress.fraction >= 1:
            run.log(numbers)
            reported = now
        if save:
            run.save()
            saved = time.monotonic()
    run.catch_up()
