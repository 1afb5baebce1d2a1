"""What commands share: --debug, errors as one line and exit code 2, quiet libraries, missing extras by name, and
a model of the command's task."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mobigen.errors import InputError, MissingExtraError, MobigenError, MobigenWarning
from mobigen.registry import MODELS

if TYPE_CHECKING:
    from mobigen.bundle import Bundle

__all__ = [
    "Command",
    "Failure",
    "Group",
    "bundle_for",
    "fresh_line",
    "means_folder",
    "needs_extra",
    "split_names",
]

DEBUG = "mobigen.debug"  # key in click's context
INTERRUPTED = 130  # the shell's code for Ctrl-C


class Failure(click.ClickException):
    """One line on stderr and exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"{fresh_line()}error: {' '.join(self.message.split())}", err=True)


class Command(click.Command):
    """A command that knows --debug."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        debug = click.Option(
            ["--debug"],
            is_flag=True,
            envvar="MOBIGEN_DEBUG",
            expose_value=False,
            help="Show the traceback of an error.",
        )
        debug.callback = lambda context, _, value: context.meta.update({DEBUG: value})
        self.params.append(debug)


class Group(click.Group):
    """A group whose commands fail with one line, and in which libraries keep quiet."""

    command_class = Command
    group_class = type  # a group inside a group is of this class too

    def invoke(self, context: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            with _only_our_warnings():
                return super().invoke(context)
        except KeyboardInterrupt:
            click.echo(f"{fresh_line()}interrupted", err=True)
            context.exit(INTERRUPTED)
        except BrokenPipeError:  # `mobigen ... | head`: click ends quietly
            raise
        except (MobigenError, OSError) as error:
            if context.meta.get(DEBUG):
                traceback.print_exc()
            raise Failure(_line(error)) from error


def _line(error: Exception) -> str:
    """An error in words; one of the system's by the place that it is about, without its number."""
    if isinstance(error, OSError) and error.filename:
        return f"cannot use {error.filename}: {error.strerror}; give another place"
    return str(error)


def fresh_line() -> str:
    """What wipes an unfinished line of progress from a terminal."""
    return "\r\x1b[K" if sys.stderr and sys.stderr.isatty() else ""  # without standard error it is None


def means_folder(model: str) -> bool:
    """Whether what a person gave is a folder rather than the name of a model."""
    return "/" in model or (model not in MODELS and Path(model).is_dir())


def bundle_for(task: str, model: str) -> Bundle:
    """The bundle of a model, which is to serve a command's task.

    Raises:
        InputError: there is no such model, or it serves another task.
        BundleError: as `mobigen.load`.
    """
    from mobigen.bundle import load_bundle

    bundle = load_bundle(model)
    if bundle.metadata.task != task:
        fitting = next(each.name for each in MODELS.values() if each.task == task)
        raise InputError(f"{model} is a model for {bundle.metadata.task}, not for {task}; give {fitting}, say")
    return bundle


def split_names(text: str | None) -> list[str]:
    """The names in a list with commas."""
    return [each.strip() for each in (text or "").split(",") if each.strip()]


@contextmanager
def _only_our_warnings() -> Iterator[None]:
    """Show a MobigenWarning as one line on stderr, and nobody else's."""

    def show(message: Warning | str, *_: Any) -> None:
        click.echo(f"note: {message}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", MobigenWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield


@contextmanager
def needs_extra(extra: str, purpose: str) -> Iterator[None]:
    """Around the imports of a command: a package that is absent becomes the extra that brings it.

    Raises:
        MissingExtraError: a package could not be imported.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mobigen"):
            raise  # not the reader's fault
        raise MissingExtraError(f"{purpose} needs {error.name}; run: pip install 'mobigen[{extra}]'") from error
