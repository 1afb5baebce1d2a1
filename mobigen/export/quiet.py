"""Silence for the converters, which report their progress natively as well as through Python."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

from mobigen.quiet import quiet_descriptors

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
        with redirect_stdout(null), redirect_stderr(null), quiet_descriptors(1, 2):
            yield
