"""A connected Android phone: LiteRT's own benchmark_model runs there on the graphs of a bundle, through adb.

Nothing but its printed output comes back, and what was pushed is removed again, whatever happens.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mobigen.bench.machine import describe_versions
from mobigen.bench.protocol import LEAST_RUNS, RUNS
from mobigen.bench.record import SCHEMA_VERSION, Record, describe_bundle, now, select_components
from mobigen.bundle import Bundle
from mobigen.errors import InputError, MobigenError

__all__ = ["TOOL", "Phone", "PhoneMeasurement", "bench_on_phone", "connect", "read_output"]

TOOL = "MOBIGEN_BENCHMARK_MODEL"  # environment: the path of benchmark_model for the phone
SERIAL = "ANDROID_SERIAL"  # environment: the phone that adb would choose
THREADS = 4
PLACE = "/data/local/tmp"  # where adb may write and execute on any phone
PATIENCE = 900  # seconds for a command of adb
PROPERTIES = {  # of the system, in the order of preference
    "device": ("ro.product.manufacturer", "ro.product.model"),
    "processor": ("ro.soc.model", "ro.board.platform"),
    "android": ("ro.build.version.release",),
    "abi": ("ro.product.cpu.abi",),
}
STATES = {  # of a device that cannot be used -> what to do
    "unauthorized": "unlock the phone and accept the computer's key",
    "offline": "plug it in again, or restart adb with `adb kill-server`",
    "no permissions": "give your user access to USB devices (udev rules on Linux)",
}


@dataclass(frozen=True)
class PhoneMeasurement:
    """What benchmark_model printed of a graph, in milliseconds and bytes.

    Attributes:
        load_ms: its "Init".
        warmup_run_ms: the mean of the runs before those that count.
        mean_run_ms, fastest_run_ms, slowest_run_ms, deviation_ms: of the `runs` that count.
        median_run_ms, p95_run_ms: of newer tools; older ones do not print them.
        load_bytes, increase_bytes: memory taken by loading, and in all; None where the tool cannot tell.
    """

    load_ms: float
    first_run_ms: float
    warmup_run_ms: float
    runs: int
    mean_run_ms: float
    fastest_run_ms: float
    slowest_run_ms: float
    deviation_ms: float
    median_run_ms: float | None
    p95_run_ms: float | None
    load_bytes: int | None
    increase_bytes: int | None


def bench_on_phone(
    bundle: Bundle,
    serial: str | None = None,
    tool: str | None = None,
    threads: int | None = None,
    runs: int = RUNS,
    components: Sequence[str] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> Record:
    """Measure the LiteRT graphs of a bundle on a connected phone, on random inputs that the tool draws itself.

    Args:
        bundle: the bundle.
        serial: of the phone, as `adb devices` lists it; None takes $ANDROID_SERIAL or the only one.
        tool: the path of benchmark_model, built for the phone; None takes $MOBIGEN_BENCHMARK_MODEL.
        threads: CPU threads; None is 4.
        runs: after the warm-up, at least 20.
        components: these alone; all if empty.
        tell: called with a line before each measurement.

    Raises:
        InputError: an argument is not accepted, there is no adb, no tool, or no phone that can be used.
        BundleError: a graph is missing or damaged.
        MobigenError: adb or the tool failed, or the tool's output was not understood.
    """
    if runs < LEAST_RUNS:
        raise InputError(f"runs is {runs}; accepted: at least {LEAST_RUNS}")
    graphs = {name: bundle.graph(name, "litert") for name in select_components(bundle, components)}
    program, phone = _find_tool(tool), connect(serial)
    machine, used, measured = phone.describe(), threads or THREADS, {}
    with phone.folder() as folder:
        phone.push(program, f"{folder}/benchmark_model")
        phone.shell(f"chmod 755 {folder}/benchmark_model")
        for name, path in graphs.items():
            tell(f"{name} on {machine['device']}")
            phone.push(path, f"{folder}/graph.tflite")
            flags = f"--graph={folder}/graph.tflite --num_threads={used} --num_runs={runs}"
            if (function := bundle.function(name)) is not None:  # one of several sizes
                flags += f" --signature_to_run_for={shlex.quote(function)}"
            measured[name] = asdict(read_output(phone.shell(f"{folder}/benchmark_model {flags}")))
    return Record(
        schema_version=SCHEMA_VERSION,
        date=now(),
        machine=machine,
        versions=describe_versions(()),
        bundle=describe_bundle(bundle, "litert"),
        backend="litert",
        threads=used,
        runs=runs,
        components=measured,
        pipeline=None,
    )


def _find_tool(given: str | None) -> Path:
    chosen = given or os.environ.get(TOOL)
    if not chosen:
        raise InputError(
            "--adb needs LiteRT's benchmark_model, built for the phone; "
            f"give its path with --benchmark-model or in {TOOL}"
        )
    if not Path(chosen).is_file():
        raise InputError(f"{chosen} is not a file; give the path of benchmark_model, built for the phone")
    return Path(chosen)


# --- the phone ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Phone:
    """A phone that adb can talk to."""

    adb: str
    serial: str

    def shell(self, command: str) -> str:
        """All that a command prints on the phone. Raises MobigenError if it fails there."""
        output = self._run("shell", f"{command} 2>&1; echo status=$?")  # older phones keep the status to themselves
        printed, _, status = output.rstrip().rpartition("status=")
        if not status.isdigit():
            raise MobigenError(f"adb shell on {self.serial} was cut off: {_last_line(output)}")
        if status != "0":
            name = Path(shlex.split(command)[0]).name
            raise MobigenError(f"{name} failed on {self.serial} with status {status}: {_last_line(printed)}")
        return printed

    def push(self, source: Path, target: str) -> None:
        """Copy a file to the phone. Raises MobigenError."""
        self._run("push", str(source), target)

    @contextmanager
    def folder(self) -> Iterator[str]:
        """A folder on the phone that is gone afterwards."""
        folder = f"{PLACE}/mobigen-bench-{uuid.uuid4().hex[:8]}"
        self.shell(f"mkdir {folder}")
        try:
            yield folder
        finally:
            with suppress(MobigenError):  # a phone that has gone cannot be tidied
                _adb(self.adb, "-s", self.serial, "shell", f"rm -rf {folder}")

    def describe(self) -> dict[str, str | int]:
        """Device, processor, cores and system."""
        names = [name for several in PROPERTIES.values() for name in several]
        asked = "; ".join(f"echo {name}=$(getprop {name})" for name in names)
        lines = self.shell(f"{asked}; echo cores=$(nproc)").splitlines()
        found = dict(line.split("=", 1) for line in lines if "=" in line)
        known = {key: [found[name] for name in several if found.get(name)] for key, several in PROPERTIES.items()}
        return {
            "device": " ".join(known["device"]) or "unknown",
            "processor": next(iter(known["processor"]), "unknown"),
            "cores": int(found.get("cores") or 0),
            "system": f"Android {' '.join(known['android'] + known['abi'])}",
        }

    def _run(self, *arguments: str) -> str:
        result = _adb(self.adb, "-s", self.serial, *arguments)
        if result.returncode:
            what = _last_line(result.stderr or result.stdout)
            raise MobigenError(f"adb {arguments[0]} on {self.serial} failed: {what}")
        return result.stdout


def connect(serial: str | None = None) -> Phone:
    """The phone of that serial number, of $ANDROID_SERIAL, or the only one. Raises InputError that says what to do."""
    adb = shutil.which("adb")
    if adb is None:
        raise InputError("adb is not on the PATH; install Android's platform tools")
    listed = _adb(adb, "devices")
    if listed.returncode:
        raise InputError(f"`adb devices` failed: {_last_line(listed.stderr or listed.stdout)}")
    devices = _read_devices(listed.stdout)
    chosen = serial or os.environ.get(SERIAL) or _only(devices)
    if chosen not in devices:
        raise InputError(f"no device {chosen} is connected; `adb devices` lists {', '.join(devices) or 'none'}")
    if devices[chosen] != "device":
        what = next((advice for state, advice in STATES.items() if devices[chosen].startswith(state)), "reconnect it")
        raise InputError(f"the device {chosen} is {devices[chosen]}; {what}")
    return Phone(adb, chosen)


def _adb(*command: str) -> subprocess.CompletedProcess[str]:
    """Run it, whatever becomes of it. Raises MobigenError if it does not end."""
    try:
        return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise MobigenError(f"adb has not answered for {PATIENCE} s; unplug the phone and try again") from error


def _read_devices(text: str) -> dict[str, str]:
    """Serial number -> state, of what `adb devices` prints; the daemon's own lines begin with an asterisk."""
    lines = (line.strip() for line in text.splitlines())
    pairs = [line.split(maxsplit=1) for line in lines if line and not line.startswith(("*", "List of devices"))]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _only(devices: Mapping[str, str]) -> str:
    """The one device, or the one that is ready. Raises InputError."""
    if not devices:
        raise InputError("no Android device is connected; plug one in with USB debugging switched on")
    ready = [serial for serial, state in devices.items() if state == "device"] or list(devices)
    if len(ready) > 1:
        raise InputError(f"several devices are connected: {', '.join(ready)}; choose one with --adb SERIAL")
    return ready[0]


def _last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), "it printed nothing")


# --- the tool's output --------------------------------------------------------------------------------------

NUMBER = r"([-+.\deE]+)"
TIMINGS = re.compile(
    rf"Init: {NUMBER}, First inference: {NUMBER}, Warmup \(avg\): {NUMBER}, Inference \(avg\): {NUMBER}"
)  # in microseconds
RUN_LINE = re.compile(rf"count={NUMBER} .*min={NUMBER} max={NUMBER} avg={NUMBER} std={NUMBER}(.*)")
QUANTILES = re.compile(rf"median={NUMBER} p95={NUMBER}")
MEMORY = re.compile(rf"\(MB\): init={NUMBER} overall={NUMBER}")


def read_output(text: str) -> PhoneMeasurement:
    """Read what benchmark_model printed. Raises MobigenError if its lines are not there."""
    timings, lines = TIMINGS.search(text), RUN_LINE.findall(text)
    if timings is None or not lines:
        raise MobigenError(
            f"the output of benchmark_model is not understood (its last line: {_last_line(text)}); "
            "use LiteRT's benchmark_model, from 2020 or later"
        )
    load, first, warmup, mean = (_milliseconds(each) for each in timings.groups())
    count, fastest, slowest, _, deviation, rest = lines[-1]  # the warm-up has a line of its own, before
    quantiles, memory = QUANTILES.search(rest), MEMORY.search(text)
    return PhoneMeasurement(
        load_ms=load,
        first_run_ms=first,
        warmup_run_ms=warmup,
        runs=int(count),
        mean_run_ms=mean,
        fastest_run_ms=_milliseconds(fastest),
        slowest_run_ms=_milliseconds(slowest),
        deviation_ms=_milliseconds(deviation),
        median_run_ms=_milliseconds(quantiles[1]) if quantiles else None,
        p95_run_ms=_milliseconds(quantiles[2]) if quantiles else None,
        load_bytes=round(float(memory[1]) * 2**20) if memory else None,
        increase_bytes=round(float(memory[2]) * 2**20) if memory else None,
    )


def _milliseconds(microseconds: str) -> float:
    return round(float(microseconds) / 1e3, 3)
