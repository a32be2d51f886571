"""A process that is started again when it dies, and that never outlives the supervisor."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.processes import die_with, ending

# Between the first deaths; then twice as long each time, for what keeps dying costs a core.
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
# Who lived so long did not die of its start.
SETTLED_SECONDS: Final = 60.0
TAIL_BYTES: Final = 4096
AUTOGROUP: Final = Path("/proc/self/autogroup")


@dataclass
class Child:
    """One process of the service.

    Attributes:
        name: for people, and of the log file.
        command: program and arguments.
        environment: of the process.
        log: file that its output is appended to.
        stop_seconds: how long it may take to end after SIGTERM.
        niceness: by how much others go first, from 0 to 19.
        deaths: how often it has died since it last lived for a minute.
        has_settled: whether it has ever lived for a minute before it died: its start works.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    stop_seconds: float
    niceness: int = 0
    deaths: int = 0
    has_settled: bool = False
    _process: "subprocess.Popen[bytes] | None" = None
    _started: float = 0.0
    _start_at: float = field(default=float("inf"))

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process in a session of its own: Ctrl-C on the terminal is the supervisor's."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_first(os.getpid(), self.niceness),  # noqa: PLW1509  (one thread; see there)
            )
        self._started = time.monotonic()
        self._start_at = float("inf")

    def revive(self) -> str | None:
        """Start the process again if it is dead and its pause is over; says when it has died."""
        if self._process is None:
            return self._start_again() if time.monotonic() >= self._start_at else None
        status = self._process.poll()
        if status is None:
            return None
        self._process = None
        settled = time.monotonic() - self._started > SETTLED_SECONDS
        self.deaths = 1 if settled else self.deaths + 1
        self.has_settled |= settled
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (self.deaths - 1), LONGEST_PAUSE_SECONDS)
        self._start_at = time.monotonic() + pause
        return f"{self.name} {ending(status)}; starting it again in {pause:g} s"

    def _start_again(self) -> str | None:
        """A machine that is out of memory or of disk for a moment does not end the others."""
        try:
            self.start()
        except (OSError, subprocess.SubprocessError) as error:
            self._start_at = time.monotonic() + LONGEST_PAUSE_SECONDS
            return f"{self.name} cannot be started ({error}); again in {LONGEST_PAUSE_SECONDS:g} s"
        return None

    def ask_to_end(self) -> None:
        """Send SIGTERM; from now on it is not started again."""
        self._start_at = float("inf")
        if self.running:
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        if self.running:
            self._signal(signal.SIGKILL)

    def wait_for_end(self, asleep: Callable[[float], object] = time.sleep) -> bool:
        """Wait until it has ended, and kill it when its time is over; says if it ended by itself.

        Args:
            asleep: waits for some seconds; may return early.
        """
        by = time.monotonic() + self.stop_seconds
        while self.running and time.monotonic() < by:
            asleep(0.05)
        by_itself = not self.running
        self.kill()
        if self._process is not None:
            self._process.wait()
        return by_itself

    def tail(self) -> str:
        """The last lines of the log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            return log.read().decode(errors="replace").strip()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def _be_nice(niceness: int) -> None:
    """Let others go first. Most Linux systems share the processor among sessions before they look
    at processes, and the child is a session of its own: both are told."""
    os.nice(niceness)
    if AUTOGROUP.exists():
        with suppress(OSError):
            AUTOGROUP.write_text(str(niceness))


def _first(parent: int, niceness: int) -> Callable[[], None]:
    """What the forked process does before it becomes the child.

    The kernel kills the child when the supervisor is gone, also by SIGKILL. It runs between fork
    and exec, which is safe in a supervisor of one thread.
    """

    def prepare() -> None:
        _be_nice(niceness)
        die_with(parent)

    return prepare
