"""Silence for native code, which writes to descriptors behind Python's back."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["quiet_descriptors"]


@contextmanager
def quiet_descriptors(*descriptors: int) -> Iterator[None]:
    """Point `descriptors` (1 is standard output, 2 is standard error) at the null device.

    They belong to the whole process, so this is held around as little as possible. One that is closed stays so.
    """
    with open(os.devnull, "wb") as null, ExitStack() as stack:
        for descriptor in descriptors:
            try:
                saved = os.dup(descriptor)
            except OSError:  # the process was started without it
                continue
            stack.callback(_restore, saved, descriptor)
            os.dup2(null.fileno(), descriptor)
        yield


def _restore(saved: int, descriptor: int) -> None:
    os.dup2(saved, descriptor)
    os.close(saved)
