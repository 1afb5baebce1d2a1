"""The researcher's commands: train and distil by a recipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobigen.cli.group import Command, needs_extra
from mobigen.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from mobigen.recipes import Recipe

__all__ = ["DATA", "FOLDER", "check_folder", "distill", "train"]

FOLDER = click.Path(path_type=Path)
DATA = click.option(
    "--data", required=True, type=FOLDER, envvar="MOBIGEN_DATA", show_envvar=True, metavar="DIR",
    help="The data sets by name, or the shards themselves.",
)  # fmt: skip
RUN_OPTIONS = (
    DATA,
    click.option(
        "--out", required=True, type=FOLDER, metavar="DIR", help="Takes the result, the checkpoint, the log and caches."
    ),
    click.option("--init", type=FOLDER, metavar="DIR", help="Components to start from, instead of random weights."),
    click.option("--minutes", type=float, help="The run's end, counted over all sittings."),
    click.option("--max-train-steps", type=int, help="The run's end; of both, what comes first."),
    click.option("--train-batch-size", type=int, help="Samples a step, for each process."),
    click.option("--learning-rate", type=float, help="At its peak."),
    click.option("--lr-warmup-steps", type=int, help="Steps until the learning rate is at its peak."),
    click.option("--ema-decay", type=float, help="Of the averaged weights, which are the result."),
    click.option("--mixed-precision", metavar="no|bf16", help="bf16 is for GPUs."),
    click.option("--compile/--no-compile", default=None, help="Compile the networks first: pays on a GPU."),
    click.option(
        "--cuda-graphs/--no-cuda-graphs", default=None, help="A step as one launch: small networks on one GPU."
    ),
    click.option("--checkpointing-minutes", type=float, help="Between two checkpoints."),
    click.option("--seed", type=int, help="The same seed repeats the run."),
)  # what is not given is as the recipe has it


class RecipeCommand(Command):
    """A command with the options of a run, whose --help lists the recipes that it takes."""

    def __init__(self, *args: Any, distils: bool = False, **kwargs: Any) -> None:
        dashes = {"token_normalize_func": lambda token: token.replace("_", "-")}  # --max_train_steps is as good
        super().__init__(*args, context_settings=dashes, **kwargs)
        self.distils = distils

    def recipes(self) -> Mapping[str, Recipe]:
        """By name. Raises MissingExtraError."""
        with needs_extra("train", "training"):
            from mobigen.recipes import RECIPES
        return {name: recipe for name, recipe in RECIPES.items() if recipe.distils or not self.distils}

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the recipes; the only part of a --help that needs torch."""
        try:
            rows = [(recipe.name, _describe(recipe)) for recipe in self.recipes().values()]
        except MissingExtraError as error:
            rows = [("(hidden)", str(error))]
        with formatter.section("Recipes"):
            formatter.write_dl(rows)


def with_run_options(command: Callable[..., None]) -> Callable[..., None]:
    """RUN_OPTIONS, in the order of the table."""
    for option in reversed(RUN_OPTIONS):
        command = option(command)
    return command


@click.command(cls=RecipeCommand)
@click.argument("recipe")
@with_run_options
@click.pass_context
def train(context: click.Context, recipe: str, data: Path, out: Path, init: Path | None, **given: Any) -> None:
    """Train by a recipe; the same command goes on where an earlier one stopped.

    On several GPUs or hosts: accelerate launch -m mobigen train RECIPE ...
    """
    _run(context.command, recipe, data, out, init, given)


@click.command(cls=RecipeCommand, distils=True)
@click.argument("recipe")
@with_run_options
@click.pass_context
def distill(context: click.Context, recipe: str, data: Path, out: Path, init: Path | None, **given: Any) -> None:
    """Train by a recipe that has a teacher; all else is as with `mobigen train`."""
    _run(context.command, recipe, data, out, init, given)


def _run(command: Any, name: str, data: Path, out: Path, init: Path | None, given: Mapping[str, Any]) -> None:
    recipes = command.recipes()
    if name not in recipes:
        raise InputError(f"`mobigen {command.name}` has no recipe {name!r}; its recipes: {', '.join(recipes)}")
    check_folder(data, "--data")
    if init is not None:
        check_folder(init, "--init")
    from mobigen.recipes import Workspace

    workspace = Workspace(data, out, init, recipes[name].model)
    progress = recipes[name].run(workspace, **_overrides(given))
    if os.environ.get("RANK", "0") == "0":  # under `accelerate launch` one process speaks for all
        click.echo(f"{name}: {progress.step} steps, {progress.seconds / 60:.1f} minutes", err=True)
        click.echo(out / recipes[name].makes)


def _overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a person asked for. One end of a run replaces the recipe's, be it in minutes or in steps."""
    chosen = {name: value for name, value in given.items() if value is not None}
    ends = ("minutes", "max_train_steps")
    return {**(dict.fromkeys(ends) if any(end in chosen for end in ends) else {}), **chosen}


def _describe(recipe: Recipe) -> str:
    """The first line of the recipe's function, or else of its file."""
    import inspect

    text = inspect.getdoc(recipe.task) or inspect.getdoc(inspect.getmodule(recipe.task)) or ""
    return text.partition("\n")[0]


def check_folder(folder: Path, option: str) -> None:
    """Raises InputError that names the option."""
    if not folder.is_dir():
        raise InputError(f"{option} {folder} is not a folder; give one that exists")
