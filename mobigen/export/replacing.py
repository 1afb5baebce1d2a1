"""Nothing half-written: what is made appears in its place when it is whole, and otherwise all is as it was."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """The place of a new file or folder, which takes that of `target` after the block, unless the block raises.

    It has the name of `target`, and is on the same disk. A folder that is there is moved away and brought back if the
    new one cannot take its place.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        new, old = Path(scratch, target.name), Path(scratch, "old")
        yield new
        if target.is_dir():
            target.rename(old)
        try:
            os.replace(new, target)
        except BaseException:
            if old.exists():
                old.rename(target)
            raise
