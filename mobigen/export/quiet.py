"""Silence for the converters, which report their progress natively as well as through Python."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Drop all that is written to standard output and standard error, and all warnings.

    The descriptors belong to the whole process: hold this around a converter only.
    """
    with open(os.devnull, "w", encoding="utf-8") as null, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stdout.flush()
        sys.stderr.flush()
        with redirect_stdout(null), redirect_stderr(null), _descriptors(null.fileno()):
            yield


@contextmanager
def _descriptors(target: int) -> Iterator[None]:
    """Point descriptors 1 and 2 at `target`: native code writes there."""
    saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    try:
        for descriptor in saved:
            os.dup2(target, descriptor)
        yield
    finally:
        for descriptor, copy in saved.items():
            os.dup2(copy, descriptor)
            os.close(copy)
