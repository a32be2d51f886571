"""Signals as something to wait for: none arrives in the middle of anything."""

import os
import select
import signal
from types import TracebackType
from typing import Any, Final, Self

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While it lasts, the end of the service and the death of a child wake `wait`.

    Attributes:
        asked_to_end: how many times the service was asked to end.
    """

    def __init__(self) -> None:
        self.asked_to_end = 0
        self._before: dict[signal.Signals, Any] = {}
        self._read, self._write = -1, -1

    def wait(self, seconds: float) -> None:
        """Return after so many seconds, or at once when a signal arrives."""
        if select.select([self._read], [], [], seconds)[0]:
            os.read(self._read, 4096)

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)  # Python writes to it, and must not wait
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*ENDING, signal.SIGCHLD):
            if signal.getsignal(number) is signal.SIG_IGN:
                continue  # started by nohup: the terminal may go
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)

    def _note(self, number: int, _frame: object) -> None:
        self.asked_to_end += number in ENDING
