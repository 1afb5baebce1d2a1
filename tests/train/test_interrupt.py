"""Ctrl-C is noted, then obeyed."""

import os
import signal
import threading

import pytest

from mobigen.train.interrupt import interruptions_at_ends_of_steps


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_press_is_noted_and_the_second_interrupts(capfd):
    before = signal.getsignal(signal.SIGINT)
    with interruptions_at_ends_of_steps() as interrupted:
        assert not interrupted()
        press()
        assert interrupted()
        assert "Ctrl-C again stops at once" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            press()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_gives_the_signal_back():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="inside"), interruptions_at_ends_of_steps():
        raise ValueError("inside")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_hears_nothing():
    heard = []

    def watch():
        with interruptions_at_ends_of_steps() as interrupted:
            heard.append(interrupted())

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert heard == [False]
