"""The creator's commands: pictures from words, what made a picture, and the list of models."""

from __future__ import annotations

import re
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobigen.cli.files import Target
from mobigen.cli.group import Command, bundle_for, fresh_line
from mobigen.errors import InputError
from mobigen.registry import MODELS

if TYPE_CHECKING:
    from mobigen.pipelines.text_to_image import Picture

__all__ = ["image", "info", "models"]

FORMATS = ("png", "webp")
LONGEST_SLUG = 60  # characters of a prompt in a file's name


@click.command(cls=Command)
@click.argument("prompt", nargs=-1)
@click.option("--prompts", metavar="FILE", help="A text file with one prompt a line; - is standard input.")
@click.option("--style", help="The look; an unknown one lists those that the model has.")
@click.option("--steps", type=int, help="Steps of the sampler; a number that is not offered lists those that are.")
@click.option("--seed", type=int, help="Makes the same pictures again; picture i of a prompt uses SEED + i.")
@click.option("-n", "count", type=int, default=1, show_default=True, help="Pictures for each prompt.")
@click.option("-o", "output", default=".", metavar="DIR_OR_FILE", help="Where they go; a file for one picture only.")
@click.option("--format", "suffix", type=click.Choice(FORMATS), help="png unless -o says otherwise.")
@click.option("--sheet", is_flag=True, help="Also make sheet.png, with all pictures on it.")
@click.option("--model", default="sticker", show_default=True, help="A name, or a bundle's folder with a slash in it.")
@click.option("--backend", default="litert", show_default=True, help="litert, torch or coreml.")
@click.option("--threads", type=int, help="CPU threads.")
def image(
    prompt: tuple[str, ...],
    prompts: str | None,
    style: str | None,
    steps: int | None,
    seed: int | None,
    count: int,
    output: str,
    suffix: str | None,
    sheet: bool,
    model: str,
    backend: str,
    threads: int | None,
) -> None:
    """Make pictures from words and print where they are.

    Quote a prompt of several words: mobigen image "a sleepy red fox" -o out/
    """
    from mobigen.media import save_image
    from mobigen.pipelines import open_pipeline

    texts = [*prompt, *(_read_prompts(prompts) if prompts else [])]
    if not texts:
        raise click.UsageError('give a prompt, such as "a red apple", or --prompts FILE')
    target = Target(output, [f".{each}" for each in FORMATS], len(texts) * count, "pictures")
    suffix = _suffix(target, suffix)
    progress = _Progress(len(texts) * count)
    pictures = open_pipeline(bundle_for("text-to-image", model), backend, threads).stream(
        texts,
        style=style,
        num_inference_steps=steps,
        seed=seed,
        num_images_per_prompt=count,
        callback_on_step_end=progress.step,
    )
    made = []
    for picture in pictures:
        path = target.path(_name(picture.parameters) + suffix)
        save_image(picture.image, path, picture.parameters)
        progress.saved(path, picture)
        if sheet:
            made.append(picture)
    if sheet:
        click.echo(_save_sheet(made, target.folder))


@click.command(cls=Command)
@click.argument("file")
def info(file: str) -> None:
    """Print the parameters that made a picture."""
    from mobigen.media import read_parameters

    for key, value in read_parameters(file).items():
        click.echo("".join(each for each in f"{key}: {value}" if each.isprintable()))


@click.command(cls=Command)
def models() -> None:
    """List the models."""
    for model in MODELS.values():
        click.echo(f"{model.name}\t{model.task}\t{model.summary}")


class _Progress:
    """A counter on stderr: a line that changes on a terminal, a line a picture elsewhere."""

    def __init__(self, pictures: int) -> None:
        self._pictures = pictures
        self._done = 0

    def step(self, pipeline: Any, step: int, time: float, state: dict[str, Any]) -> None:
        """After a step of the sampler."""
        if fresh_line():
            click.echo(f"\rpicture {self._done + 1} of {self._pictures}, step {step + 1}", nl=False, err=True)

    def saved(self, path: Path, picture: Picture) -> None:
        """After a picture; its path is the command's output."""
        self._done += 1
        line = f"picture {self._done} of {self._pictures}: {picture.parameters['prompt']}"
        click.echo(fresh_line() or f"{line}\n", nl=False, err=True)
        click.echo(path)


def _suffix(target: Target, chosen: str | None) -> str:
    """With its dot, of -o or of --format. Raises InputError if they do not fit each other."""
    if target.file is None:
        return f".{chosen or FORMATS[0]}"
    own = target.file.suffix.lower()
    if chosen and own != f".{chosen}":
        raise InputError(f"-o {target.file} and --format {chosen} do not fit; leave --format out")
    return own


def _name(parameters: dict[str, str | int]) -> str:
    """What made a picture, as the name of its file."""
    return "{slug}_{style}_{steps}steps_seed{seed}".format(slug=_slug(str(parameters["prompt"])), **parameters)


def _read_prompts(name: str) -> list[str]:
    """The lines of a file, without the empty ones and those that begin with #."""
    from mobigen.pipelines.prompt import check_prompt

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read prompts from {name}: {getattr(error, 'strerror', 'it is not UTF-8 text')}"
        ) from error
    prompts = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                prompts.append(check_prompt(line))
            except InputError as error:
                raise InputError(f"{name}, line {number}: {error}") from error
    if not prompts:
        raise InputError(f"{name} holds no prompts; write one a line")
    return prompts


def _slug(prompt: str) -> str:
    """The prompt as part of a file's name: lower-case ASCII words joined by dashes."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_SLUG].rstrip("-") or "picture"


def _save_sheet(pictures: list[Picture], folder: Path) -> Path:
    from mobigen.media import contact_sheet, save_image

    first = pictures[0].parameters
    sheet = contact_sheet([each.image for each in pictures], [str(each.parameters["prompt"]) for each in pictures])
    save_image(sheet, folder / "sheet.png", {"model": first["model"], "version": first["version"]})
    return folder / "sheet.png"
