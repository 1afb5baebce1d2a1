"""The upscale benchmark's command, on a picture of a few pixels."""

import json

import pytest
import torch
from click.testing import CliRunner

pytest.importorskip("litert_torch")

from benchmarks import upscale
from benchmarks.upscale_rivals import FSRCNN, ResidualUpscaler
from mobigen.models.plain_upscaler import PlainUpscaler


def test_a_run_prints_a_table_and_writes_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(upscale, "stay_on_cores", lambda count: None)
    few = {"ours": PlainUpscaler(3, width=8, depth=1), upscale.SMALL: FSRCNN(3), upscale.LARGE: FSRCNN(3)}
    monkeypatch.setattr(upscale, "networks", lambda scale: {name: each.eval().fuse() for name, each in few.items()})
    record = tmp_path / "record.json"
    options = ["--rounds", "1", "--threads", "1", "--scale", "3", "--size", "16", "8", "--record", str(record)]
    options += ["--skip", "memory"]
    result = CliRunner().invoke(upscale.main, options)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].split()[:3] == ["network", "scale", "ms"]
    assert len(lines) == 7
    values = json.loads(record.read_text())["scales"]["3"]
    assert set(values) == {"ours", *upscale.REFERENCES}
    row = values["ours"]
    assert row[upscale.BICUBIC] == pytest.approx(row["ms"] / values[upscale.BICUBIC]["ms"], rel=0.01)


def test_memory_is_that_of_the_command(upscale_bundle):
    values = upscale.measure_memory(f"{upscale_bundle}/", 1, {1: (40, 30)})
    assert values[1]["size"] == (40, 30)
    assert values[1]["seconds"] > 0
    assert 10e6 < values[1]["peak_bytes"] < 1e9
    assert len(list(upscale._memory_rows(values))) == 2


def test_photos_are_drawn_at_their_size():
    assert upscale._draw_photo(2500, 40).size == (2500, 40)


def test_every_scale_has_ours_and_both_rivals():
    for scale in (2, 3, 4):
        found = upscale.networks(scale)
        assert {f"upscale-x{scale}", f"upscale-x{scale}-fast", upscale.SMALL, upscale.LARGE} <= set(found)
        assert all(network.scale == scale for network in found.values())


@torch.no_grad()
@pytest.mark.parametrize("kind", [FSRCNN, ResidualUpscaler])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_rivals_enlarge(kind, scale):
    network = kind(scale, tile_height=6, tile_width=8).eval()
    assert network(**network.example_inputs(torch.Generator())).shape == network.signature().outputs[0].shape


def test_rivals_are_as_large_as_published():
    """Without biases and slopes: FSRCNN 12,464 in table 3 of its paper; two convolutions a block for the other."""
    weights = sum(each.numel() for each in FSRCNN(3).parameters() if each.ndim == 4)
    assert weights == 12_464
    blocks = ResidualUpscaler(4).blocks
    assert sum(each.numel() for each in blocks.parameters() if each.ndim == 4) == 16 * 2 * 64 * 64 * 9
