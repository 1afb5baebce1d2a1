"""All recipes in two processes on the CPU, as `accelerate launch` runs them on two GPUs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_recipes as tiny

TESTS = Path(__file__).parents[1]
LAUNCH = [
    "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", 2, "--num_machines", 1,
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", 0,
]  # fmt: skip


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gloo is Unix's")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    tiny.write_data(folder / "data")
    command = [sys.executable, *LAUNCH, TESTS / "tiny_recipes.py", folder / "data", folder / "out", 6]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = list(map(str, command))
    process = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)
    assert process.returncode == 0, process.stderr
    (folder / "chatter").write_text(process.stderr)
    return folder


@pytest.mark.parametrize("name", tiny.TOGETHER)
def test_both_processes_end_with_the_same_weights(folder, name):
    first, second = (json.loads((folder / f"weights-{rank}.json").read_text()) for rank in (0, 1))
    assert first[name] == second[name]


@pytest.mark.parametrize("name", tiny.TOGETHER)
def test_one_process_writes_the_log(folder, name):
    assert [json.loads(line)["step"] for line in (folder / "out" / name / "log.jsonl").read_text().splitlines()] == [6]


def test_one_process_writes_the_results_and_speaks(folder):
    for component, kind in tiny.KINDS.items():
        kind.from_pretrained(folder / "out" / component)
    assert not list((folder / "out").rglob("*.partial"))
    assert (folder / "chatter").read_text().count("100%  step 6 ") == len(tiny.TOGETHER)
