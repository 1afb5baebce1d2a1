"""Caches of decoded data: files of bytes, and a JSON listing that vouches for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["fingerprint", "is_current", "refilled"]


def fingerprint(folder: Path, pattern: str = "*") -> list[list[Any]]:
    """Changes when a file whose name matches is written; its size alone may not, since tar fills up blocks."""
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(folder.glob(pattern))]


def is_current(listing: Path, settings: Any) -> bool:
    """Whether a cache is there that was filled with these settings."""
    return listing.is_file() and json.loads(listing.read_text()).get("settings") == settings


@contextmanager
def refilled(listing: Path, *names: str) -> Iterator[tuple[dict[str, Any], list[BinaryIO]]]:
    """What the listing is to say, its `settings` among it, and new files of these names beside it, open for writing.

    The listing goes first and comes last. Where the filling fails nothing stays, be it files or folders made for them.
    """
    made = [folder for folder in listing.parents if not folder.exists()]  # the innermost first
    files = [listing.with_name(name) for name in names]
    partial = listing.with_suffix(".partial")
    content: dict[str, Any] = {}
    listing.parent.mkdir(parents=True, exist_ok=True)
    try:
        for path in (listing, *files):
            path.unlink(missing_ok=True)  # not emptied: another run may still read what it was
        with ExitStack() as opened:
            yield content, [opened.enter_context(path.open("wb")) for path in files]
        partial.write_text(json.dumps(content))
        partial.replace(listing)
    except BaseException:
        for path in (partial, *files):
            path.unlink(missing_ok=True)
        for folder in made:
            with suppress(OSError):  # something else is in it by now
                folder.rmdir()
        raise
