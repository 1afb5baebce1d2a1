"""The evaluate command: the scores of each kind of model, by its own protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobigen import load
from mobigen.cli.group import Group, needs_extra
from mobigen.cli.table import print_table
from mobigen.cli.train import DATA, FOLDER, check_folder
from mobigen.registry import weights_folder

if TYPE_CHECKING:
    from mobigen.pipelines.cutout import CutoutPredictor
    from mobigen.train.upscale_scores import Published, Row

__all__ = ["evaluate"]

WEIGHTS = click.option(
    "--weights", type=FOLDER, multiple=True, metavar="DIR",
    help="The model's weights; those of mobigen if left out. Given again, it serves for what the first lacks.",
)  # fmt: skip
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
THREADS = 2  # of the timed graphs


@click.group(cls=Group)
def evaluate() -> None:
    """Score models and print the scores."""


@evaluate.command()
@DATA
@WEIGHTS
@click.option("--out", type=FOLDER, metavar="DIR", help="Takes scores and pictures; out/evaluate/sticker if left out.")
@click.option("--samples", type=click.IntRange(2), default=400, show_default=True, help="Pictures to judge by.")
@AS_JSON
def sticker(data: Path, weights: Sequence[Path], out: Path | None, samples: int, as_json: bool) -> None:
    """Score the sticker model.

    A judge of pictures and words, trained on real stickers only and checked on real ones that it did not see, reads
    what the model draws.
    """
    with needs_extra("train", "evaluating"):
        from mobigen.train.evaluate import evaluate_sticker
    _score("sticker", evaluate_sticker, data, weights, out, samples, as_json)


@evaluate.command()
@DATA
@WEIGHTS
@click.option("--out", type=FOLDER, metavar="DIR", help="Takes the scores; out/evaluate/cutout if left out.")
@click.option("--samples", type=click.IntRange(2), default=400, show_default=True, help="Photos to judge by, at most.")
@click.option("--scenes/--no-scenes", default=True, help="Score scenes drawn of the photos, too: some minutes more.")
@click.option("--flip-test", is_flag=True, help="Let the model see photos mirrored, too, as `mobigen cutout` does.")
@AS_JSON
def cutout(
    data: Path, weights: Sequence[Path], out: Path | None, samples: int, scenes: bool, flip_test: bool, as_json: bool
) -> None:
    """Score the cutout model: clicks are simulated on photos that are held out, and on scenes drawn of them.

    Scenes, which are always the same, show an object on a drawn ground, or two side by side. Of those, and of one photo
    in six, all objects are asked for, too.
    """
    with needs_extra("train", "evaluating"):
        from mobigen.train.evaluate_cutout import evaluate_cutout
    score = partial(evaluate_cutout, open_predictor=partial(_open_predictor, flip_test=flip_test), scenes=scenes)
    _score("cutout", score, data, weights, out, samples, as_json)


def _open_predictor(weights: Path, flip_test: bool = False) -> CutoutPredictor:
    """The cutout pipeline on the networks of a folder, which need not have been exported. Raises WeightsError."""
    from mobigen.models.segmenter import ClickDecoder, ImageEncoder
    from mobigen.pipelines.cutout import CutoutPredictor
    from mobigen.runtime.torch import TorchComponent
    from mobigen.settings import CutoutSettings

    encoder = ImageEncoder.from_pretrained(weights / ImageEncoder.component)
    decoder = ClickDecoder.from_pretrained(weights / ClickDecoder.component)
    components = {each.component: TorchComponent(each.fuse(), each.signature()) for each in (encoder, decoder)}
    settings = CutoutSettings(encoder.image_size, decoder.points)
    return CutoutPredictor(settings, components, {}, "cutout", flip_test=flip_test)


def _score(
    name: str,
    score: Callable[..., Mapping[str, Any]],
    data: Path,
    weights: Sequence[Path],
    out: Path | None,
    samples: int,
    as_json: bool,
) -> None:
    """Score one model, and print a line a number."""
    from mobigen.export.source import gather_weights

    check_folder(data, "--data")
    with gather_weights(weights or [weights_folder(name)]) as gathered:
        scores = score(
            data=data,
            weights=gathered,
            out=out or Path("out", "evaluate", name),
            report=lambda line: click.echo(line, err=True),
            samples=samples,
        )
    click.echo(json.dumps(scores, indent=2) if as_json else "\n".join(_lines(scores)))


@evaluate.command()
@DATA
@click.option(
    "--weights", type=FOLDER, multiple=True, metavar="DIR",
    help="A model's weights, or a folder of models; may be given again. weights/ if left out.",
)  # fmt: skip
@click.option("--out", type=FOLDER, metavar="DIR", help="Takes scores.json; out/evaluate/upscale if left out.")
@click.option("--set", "sets", multiple=True, metavar="NAME", help="A folder of --data with pictures; may be repeated.")
@click.option(
    "--bundle", "bundles", multiple=True, metavar="NAME_OR_DIR",
    help="An exported model to score as its users get it, in 8 bits perhaps; may be repeated.",
)  # fmt: skip
@click.option("--times/--no-times", default=True, help="Time each network through LiteRT: needs mobigen[export].")
@AS_JSON
def upscale(
    data: Path,
    weights: Sequence[Path],
    out: Path | None,
    sets: Sequence[str],
    bundles: Sequence[str],
    times: bool,
    as_json: bool,
) -> None:
    """Score upscalers on pictures that bicubic reduced, beside bicubic and what is published.

    PSNR and SSIM on luma, which is not rounded, without a border as wide as the scale. Multiply-adds and milliseconds,
    by LiteRT on two threads, are for a picture of 640x360.
    """
    for folder, option in [(data, "--data"), *((each, "--weights") for each in weights)]:
        check_folder(folder, option)
    with needs_extra("train", "evaluating"):
        from mobigen.train.upscale_scores import PUBLISHED, evaluate_upscale
    rows = evaluate_upscale(
        data=data,
        weights=weights or [weights_folder()],
        out=out or Path("out", "evaluate", "upscale"),
        report=lambda line: click.echo(line, err=True),
        time=_stopwatch() if times else None,
        sets=sets,
        pipelines={f"{name} (bundle)": load(name) for name in bundles},
    )
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps([asdict(row) for row in rows], indent=2))
    else:
        print_table(list(_table(rows, PUBLISHED)), names=2)


def _stopwatch() -> Any:
    """Milliseconds of a network through LiteRT. Raises MissingExtraError."""
    with needs_extra("export", "timing"):
        from mobigen.export.stopwatch import time_network
    return lambda network: time_network(network, THREADS)


def _table(rows: Sequence[Row], published: Sequence[Published]) -> Iterator[list[str]]:
    """A line a row, and below those of a scale what is published for it."""
    sets = list(rows[0].scores)
    heads = [f"{name} {what}" for name in sets for what in ("dB", "SSIM")]
    yield ["network", "scale", *heads, "parameters", "G MACs", "ms"]
    for scale in dict.fromkeys(row.scale for row in rows):
        for row in rows:
            if row.scale == scale:
                scores = [text for name in sets for text in _pair(row.scores[name])]
                counts = _number(row.parameters, "{:,}"), _giga(row.macs), _number(row.milliseconds, "{:.1f}")
                yield [row.name, f"x{scale}", *scores, *counts]
        for each in published:
            if each.scale == scale and each.set in sets:
                scores = [text for name in sets for text in (f"{each.decibels:.2f}" if name == each.set else "", "")]
                yield [f"{each.name} ({each.source})", f"x{scale}", *scores, _number(each.parameters, "{:,}"), "", ""]


def _pair(pair: tuple[float, float]) -> list[str]:
    return [f"{pair[0]:.2f}", f"{pair[1]:.4f}"]


def _giga(count: int | None) -> str:
    return "" if count is None else f"{count / 1e9:.2f}"


def _number(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def _lines(scores: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """A line a number; `above` are the keys on the way to it."""
    for key, value in scores.items():
        if isinstance(value, Mapping):
            yield from _lines(value, f"{above}{key} ")
        else:
            yield f"{above}{key}: {value}"
