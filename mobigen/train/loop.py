"""The training loop: any task, one process or many, time-boxed, resumed by the same command.

Distribution, gradient synchronisation and checkpoints are accelerate's. Batches are drawn from a generator seeded by
(seed, step, process), so a resumed run sees the batches that an uninterrupted one would.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import nn

from mobigen.errors import ConfigError
from mobigen.train.average import MovingAverage
from mobigen.train.task import Task

__all__ = ["RunSettings", "train"]

PATIENCE = 50  # non-finite steps in a row before a run gives up
REPORT_EVERY = 10.0  # seconds


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
    optimizer: str = "adamw"  # or "muon", for the matrices of a transformer
    lr_warmup_steps: int = 100
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    max_grad_norm: float = 1.0
    ema_decay: float = 0.999
    mixed_precision: str = "no"  # or "bf16"
    compile: bool = False
    checkpointing_minutes: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes is None and self.max_train_steps is None:
            raise ConfigError("a run needs an end: give --minutes or --max-train-steps")
        if self.train_batch_size < 1 or self.learning_rate <= 0:
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

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.step, self.seconds = state["step"], state["seconds"]


class Run:
    """A task on its devices, with optimisers, averages and a checkpoint folder."""

    def __init__(self, task: Task, settings: RunSettings, folder: Path):
        self.task, self.settings, self.folder = task, settings, folder
        self.accelerator = Accelerator()
        torch.manual_seed(settings.seed)
        for network in task.frozen.values():
            network.to(self.accelerator.device).eval().requires_grad_(False)
            if settings.compile:
                network.compile()
        self.averages = {}
        self.optimizers: dict[str, list[torch.optim.Optimizer]] = {}
        for name, network in task.networks.items():
            network.to(self.accelerator.device).train()
            self.averages[name] = MovingAverage(network, settings.ema_decay)
            self._prepare(name, network)
        self.progress = Progress(settings)
        self.accelerator.register_for_checkpointing(self.progress, *self.averages.values())
        self.generator = torch.Generator(self.accelerator.device)

    def _prepare(self, name: str, network: nn.Module) -> None:
        optimizers = make_optimizers(network, self.settings)
        if self.settings.compile:
            network.compile()
        wrapped, *prepared = self.accelerator.prepare(network, *optimizers)
        self.task.networks[name], self.optimizers[name] = wrapped, prepared

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    def save(self) -> None:
        """Writes a whole checkpoint beside the old one, then swaps them."""
        partial = self.checkpoint.with_name("checkpoint.partial")
        self.accelerator.save_state(str(partial))
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            shutil.rmtree(self.checkpoint, ignore_errors=True)
            partial.rename(self.checkpoint)
        self.accelerator.wait_for_everyone()

    def resume(self) -> None:
        if self.checkpoint.is_dir():
            self.accelerator.load_state(str(self.checkpoint))
            self.tell(f"resumed at step {self.progress.step}")

    def step(self) -> dict[str, float]:
        """One update of the network whose turn it is; a non-finite gradient is skipped. Returns what to report."""
        turn = self.task.turn(self.progress.step)
        network, optimizers = self.task.networks[turn], self.optimizers[turn]
        for optimizer in [each for several in self.optimizers.values() for each in several]:
            optimizer.zero_grad()  # of every network: a loss may reach through one that is not learning now
        self.generator.manual_seed(self._batch_seed())
        with torch.autocast(
            self.accelerator.device.type, torch.bfloat16, enabled=self.settings.mixed_precision == "bf16"
        ):
            loss = self.task.loss(turn, self.settings.train_batch_size, self.generator)
        self.accelerator.backward(loss.value)
        norm = float(self.accelerator.clip_grad_norm_(network.parameters(), self.settings.max_grad_norm))
        if math.isfinite(norm):
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.progress.learning_rate
                optimizer.step()
            self.averages[turn].update(self.accelerator.unwrap_model(network))
        return {f"{turn}_grad_norm": norm, turn: loss.value.detach(), **loss.parts}

    def _batch_seed(self) -> int:
        return (self.settings.seed * 1_000_003 + self.progress.step) * 1_009 + self.accelerator.process_index

    def clock(self, seconds: float) -> None:
        """Adds a step of the main process's duration, so that all processes stop together."""
        self.progress.step += 1
        spent = torch.tensor([self.progress.seconds + seconds], device=self.accelerator.device, dtype=torch.float64)
        self.progress.seconds = float(broadcast(spent)) if self.accelerator.num_processes > 1 else float(spent)

    def tell(self, line: str) -> None:
        if self.accelerator.is_main_process:
            print(line, file=sys.stderr, flush=True)

    def log(self, numbers: dict[str, float]) -> None:
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


def make_optimizers(network: nn.Module, settings: RunSettings) -> list[torch.optim.Optimizer]:
    """AdamW over all weights; or Muon (Jordan et al. 2024) over the matrices inside blocks and AdamW over the rest."""
    fused = next(network.parameters()).is_cuda
    matrices, others = [], []
    for name, parameter in network.named_parameters():
        inside = settings.optimizer == "muon" and "blocks." in name and parameter.ndim == 2 and "table" not in name
        (matrices if inside else others).append(parameter)
    adamw = torch.optim.AdamW(
        others, settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay, fused=fused
    )
    if not matrices:
        return [adamw]
    # match_rms_adamw scales updates to AdamW's size, so both share one learning rate (Liu et al., arXiv 2502.16982)
    muon = torch.optim.Muon(
        matrices, settings.learning_rate, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, adamw]


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
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(task, settings, folder)
    (folder / "settings.json").write_text(json.dumps(asdict(settings), indent=2))
    run.resume()
    with saved_when_interrupted(run):
        _train_until_end(run)
    run.save()
    if run.accelerator.is_main_process:
        task.save({name: average.network for name, average in run.averages.items()}, result)
    run.accelerator.wait_for_everyone()
    return run.progress


def _train_until_end(run: Run) -> None:
    reported = saved = time.monotonic()
    wasted, compiled = 0, set()
    while run.progress.fraction < 1:
        started = time.monotonic()
        turn = run.task.turn(run.progress.step)
        numbers = run.step()
        wasted = 0 if math.isfinite(numbers[f"{turn}_grad_norm"]) else wasted + 1
        if wasted >= PATIENCE:
            raise ConfigError(f"the loss was not finite for {PATIENCE} steps; lower --learning-rate and start afresh")
        now = time.monotonic()
        run.clock(now - started if turn in compiled else 0.0)  # the first step of a network compiles it
        compiled.add(turn)
        if now - reported > REPORT_EVERY or run.progress.fraction >= 1:
            run.log(numbers)
            reported = now
        if now - saved > run.settings.checkpointing_minutes * 60:
            run.save()
            saved = time.monotonic()
