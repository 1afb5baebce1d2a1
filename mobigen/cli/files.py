"""Files in, files out: where a command's results go, under which names, and batches of which some are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import click

from mobigen.cli.group import fresh_line
from mobigen.errors import InputError, MobigenError

__all__ = ["Target", "make_folder", "run_batch"]


class Target:
    """What -o names: a folder, or one file; `file` is None for a folder."""

    def __init__(
        self, output: str, suffixes: Sequence[str], results: int, things: str, sources: Sequence[str] = ()
    ) -> None:
        """Read -o.

        Args:
            output: a file if it has a suffix, no slash at its end, and is no folder.
            suffixes: of the files that the command writes, ".png" say.
            results: how many there will be.
            things: what they are made of, in the plural.
            sources: the files that no result may replace.

        Raises:
            InputError: it is a file with another suffix, or one file for several results.
        """
        path = Path(output)
        self.file = None if output.endswith(("/", "\\")) or not path.suffix or path.is_dir() else path
        self.folder = self.file.parent if self.file else path
        self._made: set[Path] = set()
        self._new = [each for each in (self.folder, *self.folder.parents) if not each.exists()]
        self._sources = [source for source in map(Path, sources) if source.exists()]
        if self.file and self.file.suffix.lower() not in suffixes:
            raise InputError(f"-o {output} does not end in {' or '.join(suffixes)}; to make it a folder, add a slash")
        if self.file and results > 1:
            raise InputError(f"-o {output} is one file for {results} {things}; give a folder")

    def path(self, name: str) -> Path:
        """The place of a result, called `name` in a folder, which is made; no two are the same.

        Raises:
            InputError: the folder cannot be made, or the result would replace a source.
        """
        make_folder(self.folder)
        path = self.file or self.folder / name
        while path in self._made:  # of files from several folders, or prompts that differ in punctuation only
            path = path.with_stem(f"{path.stem}_again")
        self.guard(path)
        self._made.add(path)
        return path

    def tidy(self) -> None:
        """Take away the folders that were made, if nothing has come into them."""
        with suppress(OSError):
            for folder in self._new:
                folder.rmdir()

    def guard(self, path: Path) -> None:
        """Raises InputError if a file written to `path` would replace any of the sources."""
        if path.exists() and any(path.samefile(source) for source in self._sources):
            raise InputError(f"{path} would replace a file that is given; give another -o")


def make_folder(folder: Path) -> None:
    """Make a folder that results go into. Raises InputError if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror}; choose another place") from error


def run_batch(files: Sequence[str], make: Callable[[int, str], Path], target: Target) -> None:
    """Print what `make` makes of each file and its number, from 1; one that is refused does not stop the others.

    A new folder of `target` does not stay if all are refused.

    Raises:
        InputError: at the end, if files were refused.
        MobigenError: as `make`, if there is only one file.
    """
    refused = []
    for number, name in enumerate(files, start=1):
        try:
            click.echo(make(number, name))
        except MobigenError as error:
            target.tidy()
            if len(files) == 1:
                raise
            refused.append(name)
            click.echo(f"{fresh_line()}error: {error}", err=True)
    if refused:
        raise InputError(f"{len(refused)} of {len(files)} files were refused: {', '.join(refused)}")
