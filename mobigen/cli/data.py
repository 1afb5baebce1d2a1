"""The data command: a folder of captioned pictures, or of photos with label maps -> shards that a recipe reads."""

from __future__ import annotations

from pathlib import Path

import click

from mobigen.cli.group import Group, needs_extra

__all__ = ["data"]


@click.group(cls=Group)
def data() -> None:
    """Prepare training data."""


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Takes the shards.")
def pack(folder: Path, out: Path) -> None:
    """Pack a folder of pictures into WebDataset shards.

    FOLDER holds pictures and a metadata.jsonl beside them: one JSON object a line, with file_name, text and, if
    known, style and keywords (the imagefolder convention).

    For the cutout model it holds photos with label maps instead: NAME.jpg, NAME.png of the same size in 8-bit grey,
    where 0 is the ground and all other values are the parts of one object, and NAME.json, which names them:
    {"parts": {"1": "coat", "2": "bag"}}, or {"parts": {"255": "dog"}}.
    """
    with needs_extra("train", "packing"):
        from mobigen.data.shards import pack_folder
    count = pack_folder(folder, out)
    click.echo(f"{count} samples in {out}")
