"""The `mobigen` command. Heavy imports stay inside the commands, so that --help answers at once.

A new command is a function under `@click.command(cls=Command)` in one of this room's files, and a name in the table
below. It raises MobigenError for whatever a person can mend; the group turns that into one line and exit code 2.
"""

import click

from mobigen import __version__
from mobigen.cli import bench, cutout, data, doctor, evaluate, export, image, train, upscale
from mobigen.cli.group import Group

__all__ = ["cli"]

COMMANDS = (
    image.image,
    image.info,
    image.models,
    cutout.cutout,
    upscale.upscale,
    data.data,
    train.train,
    train.distill,
    evaluate.evaluate,
    export.export,
    doctor.doctor,
    bench.bench,
)


@click.group(cls=Group, commands=COMMANDS)
@click.version_option(__version__, prog_name="mobigen")
def cli() -> None:
    """Generative media models that fit in a phone."""
