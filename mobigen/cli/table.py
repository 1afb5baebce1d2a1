"""Tables on a terminal: columns lined up, names to the left, numbers to the right."""

from collections.abc import Sequence

import click

__all__ = ["print_table"]


def print_table(rows: Sequence[Sequence[str]], names: int) -> None:
    """Print rows of equal length, the first of them the heads; `names` columns hold names, the others numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row[:names], widths[:names], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(row[names:], widths[names:], strict=True)]
        click.echo("  ".join([*padded, *numbers]).rstrip())
