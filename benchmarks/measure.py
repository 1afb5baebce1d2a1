"""Measuring: a few cores, several rounds, medians, and a record that says where and when."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mobigen.bench.machine import describe_machine, describe_versions
from mobigen.errors import MobigenError

__all__ = ["in_rounds", "median", "print_table", "run_command", "run_in_rounds", "stay_on_cores", "write_record"]

PACKAGES = ("ai-edge-litert", "diffusers", "numpy", "torch")
CHILD = Path(__file__).with_name("child.py")


def stay_on_cores(count: int) -> None:
    """Keep this process and its children on `count` cores, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def in_rounds(actions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each action, a time a round.

    Every action runs once before the first round. A round runs each of them, so that whatever else the
    machine does slows all alike, and their ratios hold.
    """
    for action in actions.values():
        action()
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def run_command(command: Sequence[str]) -> tuple[float, int]:
    """Wall seconds and peak resident bytes of a command. Raises MobigenError if it fails."""
    result = subprocess.run([sys.executable, str(CHILD), *command], stdout=subprocess.PIPE, check=True)
    seconds, peak, status, message = json.loads(result.stdout)
    if status:
        raise MobigenError(f"{' '.join(command)} failed: {message.strip()}")
    return seconds, peak


def run_in_rounds(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, dict[str, float]]:
    """Of each command: first_seconds, when files come from the disk perhaps, the median seconds of the rounds that
    follow, and the largest peak_bytes of these. Raises MobigenError if one fails."""
    first = {name: run_command(command)[0] for name, command in commands.items()}
    runs: dict[str, list[tuple[float, int]]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(run_command(command))
    return {
        name: {
            "first_seconds": median([first[name]]),
            "seconds": median([seconds for seconds, _ in each]),
            "peak_bytes": max(peak for _, peak in each),
        }
        for name, each in runs.items()
    }


def median(values: Sequence[float]) -> float:
    """The middle value, to four digits."""
    return float(f"{statistics.median(values):.4g}")


def write_record(path: Path, threads: int, values: Mapping[str, Any]) -> None:
    """Write a JSON record: date, machine, versions and the values."""
    record = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": describe_machine() | {"threads": threads},
        "versions": describe_versions(PACKAGES),
        **values,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
