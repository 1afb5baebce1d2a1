"""`mobigen evaluate upscale`: networks of super-resolution on pictures, beside bicubic and what their papers publish.

Pictures are cut to a multiple of the scale, reduced by bicubic to 8 bits, enlarged to 8 bits, and compared on luma
without a border as wide as the scale. Luma is not rounded, nor is what a network of luma gives: so do the code of SESR
(its `rgb_to_ycbcr`) and BasicSR (`calculate_psnr` with `test_y_channel`). MATLAB's rgb2ycbcr rounds, in the picture and
in the truth, which takes 0.07 dB at 37.4 and 0.03 at 33.7: bicubic has 33.68, 30.41 and 28.43 dB on Set5 at x2, x3 and
x4 here, and 33.66, 30.39 and 28.42 in the tables that were made with MATLAB.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mobigen.data.photos import read_photos, reduce
from mobigen.data.resize import resize
from mobigen.errors import InputError, WeightsError
from mobigen.models.network import load_network
from mobigen.models.upscaler import Upscaler
from mobigen.train.fidelity import luma_of_pixels, psnr, ssim
from mobigen.train.restore import as_seen_by

__all__ = ["FRAME", "PUBLISHED", "SETS", "Published", "Row", "count_macs", "evaluate_upscale", "score"]

SETS = ("sr-test-set5", "photos-hr-val")  # folders of the data folder, as the table names them
FRAME = (360, 640)  # height and width that multiply-adds and times are for
LARGEST = 640  # pixels a side of the small pictures that are enlarged at once; more is cut up
Enlarge = Callable[[Tensor], Tensor]  # RGB (1, 3, h, w) in [0, 1] -> the same, larger, or luma with one channel


@dataclass(frozen=True)
class Published:
    """What others reached on a test set: `decibels` of PSNR on luma, without a border as wide as the scale."""

    name: str
    scale: int
    set: str
    decibels: float
    parameters: int | None  # None where only a range is known
    source: str


SESR, MEASURED = "arXiv 2103.09404", "its published weights"
PUBLISHED = (
    Published("SESR-M3", 2, SETS[0], 37.21, 8_912, SESR),
    Published("SESR-M5", 2, SETS[0], 37.39, 13_520, SESR),
    Published("SESR-M7", 2, SETS[0], 37.47, 18_128, SESR),
    Published("SESR-M11", 2, SETS[0], 37.58, 27_344, SESR),
    Published("SESR-XL", 2, SETS[0], 37.77, 105_376, SESR),
    Published("IMDN-RTC", 2, SETS[0], 37.31, 20_000, MEASURED),
    Published("RT4KSR", 2, SETS[0], 36.14, 45_000, MEASURED),
    Published("RLFN", 2, SETS[0], 38.07, 530_000, MEASURED),
    Published("ABPN in int8", 3, SETS[0], 33.47, 42_500, MEASURED),
    Published("SPANF", 4, SETS[0], 31.77, None, MEASURED),
    Published("IESRNet", 4, SETS[0], 31.91, None, MEASURED),
    Published("RLFN", 4, SETS[0], 32.24, 540_000, MEASURED),
)


class Pipeline(Protocol):
    """What `mobigen.load` gives for an upscaler."""

    scale: int

    def upscale(self, image: Any) -> Any:
        """uint8 (H, W, 3) -> the same, `scale` times as large."""


@dataclass(frozen=True)
class Row:
    """One line of the table; what is not known is None."""

    name: str
    scale: int
    scores: Mapping[str, tuple[float, float]]  # set -> PSNR in dB and SSIM, means over its pictures
    parameters: int | None = None  # of the deployed form
    macs: int | None = None  # of a FRAME
    milliseconds: float | None = None  # of a FRAME


def evaluate_upscale(
    data: Path,
    weights: Sequence[Path],
    out: Path,
    report: Callable[[str], None],
    time: Callable[[Upscaler], float] | None = None,
    sets: Sequence[str] = (),
    pipelines: Mapping[str, Pipeline] | None = None,
) -> list[Row]:
    """Scores upscalers, and bicubic at their scales, and writes the rows to `out`/scores.json.

    Args:
        data: holds the test sets by name, or is one.
        weights: models' folders, like weights/upscale-x2, or folders of those.
        out: for the results.
        report: told a line whenever a row is done.
        time: the milliseconds that a network takes for its tile; None leaves times out.
        sets: the names; if none are given, those of SETS that are there.
        pipelines: what is scored as its users get it, by the name that its row is to have.

    Raises:
        InputError: there is no test set, or none of a name that is given.
        WeightsError: a folder holds no upscaler, or a damaged one.
    """
    pictures = _read_sets(data, sets)
    contestants: dict[str, Upscaler | Pipeline] = {**_find_networks(weights), **(pipelines or {})}
    rows: list[Row] = []

    def add(row: Row) -> None:
        rows.append(row)
        report(f"{row.name} x{row.scale}: {_shown(row)}")

    for scale in sorted({each.scale for each in contestants.values()}):
        add(Row("bicubic", scale, score(_bicubic(scale), scale, pictures)))
        for name, each in contestants.items():
            if each.scale != scale:
                continue
            if isinstance(each, Upscaler):
                add(_row(name, each, pictures, time))
            else:
                add(Row(name, scale, score(_by_pipeline(each), scale, pictures)))
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    return rows


def _read_sets(data: Path, sets: Sequence[str]) -> dict[str, list[NDArray[np.uint8]]]:
    if missing := [name for name in sets if not (data / name).is_dir()]:
        inside = ", ".join(sorted(each.name for each in data.iterdir() if each.is_dir())) or "none"
        raise InputError(f"{data} has no folder {', '.join(missing)}; its folders: {inside}")
    folders = {name: data / name for name in sets or SETS if (data / name).is_dir()} or {data.name: data}
    try:
        return {name: [pixels for _, pixels in read_photos(folder)] for name, folder in folders.items()}
    except InputError as error:
        raise InputError(f"no test set in {data}: {error}") from error


def _find_networks(weights: Sequence[Path]) -> dict[str, Upscaler]:
    """Name of the folder -> network, in order. Raises WeightsError."""
    folders: list[Path] = []
    for folder in weights:
        inside = [each.parent.parent for each in sorted(folder.glob("*/upscaler/config.json"))]
        folders += inside or [folder]
    networks = {}
    for folder in folders:
        network = load_network(folder / Upscaler.component)
        if not isinstance(network, Upscaler):
            raise WeightsError(f"{folder / Upscaler.component} holds a {type(network).__name__}, not an upscaler")
        networks[folder.name] = network
    return networks


def _row(
    name: str,
    network: Upscaler,
    pictures: Mapping[str, Sequence[NDArray[np.uint8]]],
    time: Callable[[Upscaler], float] | None,
) -> Row:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    deployed = network.fuse().to(device)
    framed = copy.deepcopy(deployed.at_tile(*FRAME)).cpu()
    return Row(
        name=name,
        scale=network.scale,
        scores=score(_by_network(deployed, device), network.scale, pictures),
        parameters=sum(parameter.numel() for parameter in deployed.parameters()),
        macs=count_macs(framed),
        milliseconds=None if time is None else time(framed),
    )


def score(
    enlarge: Enlarge, scale: int, pictures: Mapping[str, Sequence[NDArray[np.uint8]]]
) -> dict[str, tuple[float, float]]:
    """Set -> mean PSNR and mean SSIM of what `enlarge` makes of its reduced pictures (H, W, 3)."""
    return {name: _mean([_compare(enlarge, scale, each) for each in several]) for name, several in pictures.items()}


def _mean(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    decibels, likeness = (float(np.mean(values)) for values in zip(*pairs, strict=True))
    return round(decibels, 3), round(likeness, 4)


def _compare(enlarge: Enlarge, scale: int, picture: NDArray[np.uint8]) -> tuple[float, float]:
    height, width = (size // scale * scale for size in picture.shape[:2])
    truth = picture[:height, :width]
    small = reduce(torch.from_numpy(truth.copy()).permute(2, 0, 1)[None].float() / 255, scale)
    enlarged = (enlarge(small)[0].permute(1, 2, 0).clamp(0, 1) * 255).double().cpu().numpy()
    found = enlarged[..., 0] if enlarged.shape[2] == 1 else luma_of_pixels(enlarged.round().astype(np.uint8))
    wanted = luma_of_pixels(truth)
    return psnr(found, wanted, scale), ssim(found, wanted, scale)


def _bicubic(scale: int) -> Enlarge:
    return lambda small: resize(small, small.shape[2] * scale, small.shape[3] * scale)


def _by_network(network: Upscaler, device: torch.device) -> Enlarge:
    """The network on pictures of any size: borders repeated as far as it reaches, so that none is dark."""
    margin = (network.reach or 0) + -(network.reach or 0) % network.multiple

    @torch.no_grad()
    def enlarge(small: Tensor) -> Tensor:
        height, width = small.shape[2:]
        rest = (-width % network.multiple, -height % network.multiple)
        image = as_seen_by(network.channels, small).to(device)
        padded = F.pad(image, (margin, margin + rest[0], margin, margin + rest[1]), mode="replicate")
        first, scale = margin * network.scale, network.scale
        return network(padded)[..., first : first + height * scale, first : first + width * scale]

    return enlarge


def _by_pipeline(pipeline: Pipeline) -> Enlarge:
    """What a user gets: bytes in and out."""

    def enlarge(small: Tensor) -> Tensor:
        pixels = (small[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
        return torch.from_numpy(pipeline.upscale(pixels.numpy())).permute(2, 0, 1)[None].float() / 255

    return enlarge


def count_macs(network: Upscaler) -> int:
    """Multiply-adds of a network for its tile, in convolutions and matrix products."""
    inputs = network.example_inputs(torch.Generator().manual_seed(0))
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        copy.deepcopy(network).to("meta")(**{name: value.to("meta") for name, value in inputs.items()})
    return counter.get_total_flops() // 2


def _shown(row: Row) -> str:
    return ", ".join(f"{name} {decibels:.2f} dB {likeness:.4f}" for name, (decibels, likeness) in row.scores.items())
