"""What the worker and the reconciler do about signals beyond what Python and RQ offer."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_back(*signals: signal.Signals) -> Iterator[None]:
    """Deliver these signals to this thread after the block; a process forked in it never gets them
    by itself."""
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        if os.getpid() == parent:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_at_signals() -> None:
    """From here on SIGTERM and SIGINT end the process in good order, with status 0; until somebody
    else handles them."""

    def end(*_: object) -> None:
        past_ending()
        sys.exit(0)

    for number in ENDING:
        signal.signal(number, end)


def past_ending() -> None:
    """From here on, ignore what asks this process to end: it does so already.

    While the interpreter winds up, it gives its handlers back to the system, whose own kills; so a
    second SIGTERM in that tenth of a second would turn a clean exit into a death by a signal.
    """
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
