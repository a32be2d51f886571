"""What the worker and the reconciler do about signals beyond what Python and RQ offer."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.processes import LEAVE_SECONDS, leave_in_time

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


def leave_in_time_at_signals(seconds: float = LEAVE_SECONDS) -> None:
    """End this process with status 0 so long after the first SIGTERM or SIGINT, whatever hangs.

    Python runs a handler only between two steps of its own, so one that starts the clock would come
    late where a call computes or waits in C: SQLite waits 10 s for another's commit. The system
    writes the signal to a pipe the moment it comes; a thread that does nothing else reads there. A
    forked child has neither the thread nor the pipe. Call it once, in the main thread.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch() -> None:
        while not set(os.read(reader, 64)) & set(ENDING):
            pass  # another signal that Python handles, such as RQ's alarm
        leave_in_time(seconds)

    def forget() -> None:
        signal.set_wakeup_fd(-1)
        os.close(reader)
        os.close(writer)

    os.register_at_fork(after_in_child=forget)
    with held_back(*ENDING):  # which the thread inherits: signals are for the main thread
        threading.Thread(target=watch, name="leave in time", daemon=True).start()


def past_ending() -> None:
    """From here on, ignore what asks this process to end: it does so already.

    While the interpreter winds up, it gives its handlers back to the system, whose own kills; so a
    second SIGTERM in that tenth of a second would turn a clean exit into a death by a signal.
    """
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
