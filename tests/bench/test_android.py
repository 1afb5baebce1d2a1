"""A phone that is a script: what it is told, what it prints, and what it leaves behind."""

import os
import sys

import pytest

from mobigen.bench.android import PhoneMeasurement, bench_on_phone, connect, read_output
from mobigen.bundle import load_bundle
from mobigen.errors import BundleError, InputError, MobigenError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the script is a shell's")

SCRIPT = """#!/bin/sh
# A stand-in for adb: notes what it is told, and answers as a phone would.
echo "$@" >> "$FAKE/log"
if [ "$1" = devices ]; then cat "$FAKE/devices"; exit; fi
serial=$2 verb=$3 first=$4
case "$verb $first" in
push*) [ -f "$first" ] && echo "1 file pushed" || { echo "adb: error: cannot stat '$first'" >&2; exit 1; } ;;
"shell echo ro."*) cat "$FAKE/properties"; echo status=0 ;;
*" rm -rf "*) rm -f "$FAKE/left" ;;
*mkdir*) touch "$FAKE/left"; echo status=0 ;;
*--graph=*) cat "$FAKE/output"; [ -f "$FAKE/gone" ] && { echo "error: device '$serial' not found" >&2; exit 1; }
    echo "status=$(cat "$FAKE/status")" ;;
*) echo status=0 ;;
esac
"""
PROPERTIES = """ro.product.manufacturer=Example
ro.product.model=Phone 9
ro.soc.model=SM0001
ro.board.platform=kalahari
ro.build.version.release=16
ro.product.cpu.abi=arm64-v8a
cores=8
"""
OUTPUT = """INFO: STARTING!
INFO: Min num runs: [20]
INFO: Loaded model graph.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 3.5
INFO: Initialized session in 21.75ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=31 first=19500 curr=16100 min=15900 max=19500 avg=16300.5 std=610

INFO: Running benchmark for at least 20 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=62 first=16200 curr=16050 min=15800 max=1.82e+04 avg=16125.25 std=240 p5=15850 median=16100 p95=16900

INFO: Inference timings in us: Init: 21750, First inference: 19500, Warmup (avg): 16300.5, Inference (avg): 16125.2
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE.
INFO: Memory footprint delta from the start of the tool (MB): init=7.5 overall=18.25
"""
MEASURED = PhoneMeasurement(
    load_ms=21.75,
    first_run_ms=19.5,
    warmup_run_ms=16.3,
    runs=62,
    mean_run_ms=16.125,
    fastest_run_ms=15.8,
    slowest_run_ms=18.2,
    deviation_ms=0.24,
    median_run_ms=16.1,
    p95_run_ms=16.9,
    load_bytes=7864320,
    increase_bytes=19136512,
)


class Phone:
    """The script's folder."""

    def __init__(self, folder):
        self.folder = folder
        self.write("devices", "List of devices attached\nABC123\tdevice\n\n")
        self.write("properties", PROPERTIES)
        self.write("output", OUTPUT)
        self.write("status", "0\n")

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def told(self):
        """What it was told after the first question for devices, without its own serial number."""
        lines = (self.folder / "log").read_text().splitlines()
        return [line.removeprefix("-s ABC123 ") for line in lines[1:]]

    @property
    def clean(self):
        return not (self.folder / "left").exists()


@pytest.fixture
def phone(tmp_path, monkeypatch):
    adb = tmp_path / "bin" / "adb"
    adb.parent.mkdir()
    adb.write_text(SCRIPT)
    adb.chmod(0o755)
    folder = tmp_path / "phone"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{adb.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    monkeypatch.delenv("MOBIGEN_BENCHMARK_MODEL", raising=False)
    return Phone(folder)


@pytest.fixture
def tool(tmp_path):
    path = tmp_path / "benchmark_model"
    path.write_bytes(b"an ELF file for arm64")
    return str(path)


@pytest.fixture(scope="module")
def bundle(exported_bundle):
    return load_bundle(exported_bundle)


def test_every_component_is_pushed_run_and_removed(phone, tool, bundle):
    lines = []
    record = bench_on_phone(bundle, tool=tool, threads=2, runs=30, tell=lines.append)
    assert lines == [f"{name} on Example Phone 9" for name in ("text_encoder", "denoiser", "decoder")]
    assert list(record.components) == ["text_encoder", "denoiser", "decoder"]
    assert all(each == vars(MEASURED) for each in record.components.values())
    assert record.machine == {
        "device": "Example Phone 9", "processor": "SM0001", "cores": 8, "system": "Android 16 arm64-v8a"
    }  # fmt: skip
    assert (record.threads, record.runs, record.pipeline) == (2, 30, None)

    properties, make, push, allow, *runs, remove = phone.told()
    folder = make.split()[2].rstrip(";")
    assert folder.startswith("/data/local/tmp/mobigen-bench-")
    assert "getprop ro.product.model" in properties
    assert push == f"push {tool} {folder}/benchmark_model"
    assert allow.startswith(f"shell chmod 755 {folder}/benchmark_model")
    assert runs[0] == f"push {bundle.folder}/litert/text_encoder.tflite {folder}/graph.tflite"
    assert runs[1].startswith(
        f"shell {folder}/benchmark_model --graph={folder}/graph.tflite --num_threads=2 --num_runs=30 "
    )
    assert len(runs) == 6
    assert remove == f"shell rm -rf {folder}"
    assert phone.clean
    assert not any(line.startswith("pull") for line in phone.told())


def test_the_tool_may_come_from_the_environment_and_components_be_chosen(phone, tool, bundle, monkeypatch):
    monkeypatch.setenv("MOBIGEN_BENCHMARK_MODEL", tool)
    assert list(bench_on_phone(bundle, components=["decoder"]).components) == ["decoder"]


# --- which phone --------------------------------------------------------------------------------------------


def listing(*lines):
    return "\n".join(["* daemon not running; starting now at tcp:5037", "List of devices attached", *lines, ""])


@pytest.mark.parametrize(
    ("lines", "serial", "chosen"),
    [
        (["ABC123\tdevice"], None, "ABC123"),
        (["ABC123          device usb:1-2 product:x"], None, "ABC123"),
        (["ABC123\tdevice", "emulator-5554\tdevice"], "emulator-5554", "emulator-5554"),
        (["ABC123\tunauthorized", "DEF456\tdevice"], None, "DEF456"),
    ],
)
def test_the_phone_that_is_meant(phone, lines, serial, chosen):
    phone.write("devices", listing(*lines).replace("usb:1-2 product:x", ""))
    assert connect(serial).serial == chosen


def test_the_environment_chooses_among_several(phone, monkeypatch):
    phone.write("devices", listing("ABC123\tdevice", "DEF456\tdevice"))
    monkeypatch.setenv("ANDROID_SERIAL", "DEF456")
    assert connect().serial == "DEF456"


@pytest.mark.parametrize(
    ("lines", "serial", "complaint"),
    [
        ([], None, "no Android device is connected; plug one in with USB debugging switched on"),
        ([], "ABC123", "no device ABC123 is connected; `adb devices` lists none"),
        (["ABC123\tdevice", "DEF456\tdevice"], None, "ABC123, DEF456; choose one with --adb SERIAL"),
        (["ABC123\tdevice"], "XYZ", "no device XYZ is connected; `adb devices` lists ABC123"),
        (["ABC123\tunauthorized"], None, "ABC123 is unauthorized; unlock the phone and accept the computer's key"),
        (["ABC123\toffline"], None, "ABC123 is offline; plug it in again"),
        (["ABC123\tno permissions (user is not in the plugdev group)"], None, "give your user access to USB devices"),
        (["ABC123\trecovery"], None, "ABC123 is recovery; reconnect it"),
    ],
)
def test_a_phone_that_cannot_be_used(phone, lines, serial, complaint):
    phone.write("devices", listing(*lines))
    with pytest.raises(InputError) as caught:
        connect(serial)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_adb(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="adb is not on the PATH; install Android's platform tools"):
        connect()


# --- what fails on the way ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "complaint"), [(None, "give its path with --benchmark-model"), ("/no/such/tool", "is not a file")]
)
def test_a_missing_tool_is_told_before_the_phone_is_asked(phone, bundle, given, complaint):
    with pytest.raises(InputError, match=complaint):
        bench_on_phone(bundle, tool=given)
    assert not (phone.folder / "log").exists()


def test_a_tool_that_crashes_is_told_and_removed(phone, tool, bundle):
    phone.write("output", "INFO: STARTING!\nERROR: Op builtin_code out of range\n")
    phone.write("status", "139\n")
    with pytest.raises(MobigenError) as caught:
        bench_on_phone(bundle, tool=tool)
    assert str(caught.value) == (
        "benchmark_model failed on ABC123 with status 139: ERROR: Op builtin_code out of range"
    )
    assert phone.clean


def test_output_that_is_not_understood_is_told_and_all_is_removed(phone, tool, bundle):
    phone.write("output", "hello from another tool\n")
    with pytest.raises(MobigenError, match=r"not understood \(its last line: hello from another tool\)"):
        bench_on_phone(bundle, tool=tool)
    assert phone.clean


def test_a_phone_that_goes_away(phone, tool, bundle):
    phone.write("gone", "")
    with pytest.raises(MobigenError, match="adb shell on ABC123 failed: error: device 'ABC123' not found"):
        bench_on_phone(bundle, tool=tool)


def test_a_shell_that_is_cut_off(phone):
    phone.write("properties", "ro.product.model=Phone 9\n")
    (phone.folder / "status").unlink()
    with pytest.raises(MobigenError, match="adb shell on ABC123 was cut off"):
        connect().shell("x --graph=y")


def test_a_damaged_graph_is_not_pushed(phone, tool, bundle_folder):
    graph = bundle_folder / "litert" / "decoder.tflite"
    graph.write_bytes(graph.read_bytes()[:-1] + b"!")
    with pytest.raises(BundleError, match="has sha256"):
        bench_on_phone(load_bundle(bundle_folder), tool=tool)
    assert not (phone.folder / "log").exists()


def test_too_few_runs(phone, tool, bundle):
    with pytest.raises(InputError, match="at least 20"):
        bench_on_phone(bundle, tool=tool, runs=5)


# --- the tool's output --------------------------------------------------------------------------------------


def test_output_is_read():
    assert read_output(OUTPUT) == MEASURED


def test_older_tools_print_no_quantiles_and_some_cannot_tell_memory():
    lines = [line.partition(" p5=")[0] for line in OUTPUT.splitlines() if "Memory footprint" not in line]
    found = read_output("\n".join(lines))
    assert (found.mean_run_ms, found.median_run_ms, found.p95_run_ms) == (16.125, None, None)
    assert (found.load_bytes, found.increase_bytes) == (None, None)


@pytest.mark.parametrize("missing", ["Inference timings", "count="])
def test_half_an_output_is_refused(missing):
    text = "\n".join(line for line in OUTPUT.splitlines() if missing not in line)
    with pytest.raises(MobigenError, match="use LiteRT's benchmark_model"):
        read_output(text)
