"""Ctrl-C in the middle of a step, made to wait."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["interruptions_at_ends_of_steps"]

HEARD = b"stopping after this step, which may take minutes where a teacher draws; Ctrl-C again stops at once\n"


@contextmanager
def interruptions_at_ends_of_steps() -> Iterator[Callable[[], bool]]:
    """Makes Ctrl-C wait for the end of a step, so that a checkpoint holds whole steps; a second one does not wait.

    Gives a function that tells if Ctrl-C was pressed.
    """
    pressed = threading.Event()

    def note(*_: object) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()
        os.write(2, HEARD)  # whatever the signal interrupts may be printing itself

    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield pressed.is_set
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)
