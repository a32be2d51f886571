"""Starts the service's processes, keeps them alive, and stops them in order.

    Valkey ──> API, worker of audits, worker of trainings, reconciler        (start)
    API ──> both workers ──> reconciler ──> Valkey                           (stop)

Nobody new comes in before the workers put their jobs down, and Valkey is there until they have. The
API brings the database up to date, and is ready when that is done; the service is when its workers
are there, too.
"""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from app.processes import python_command, python_environment
from app.server.address import base_url
from app.server.listening import refuse_a_used_port, require_key_beyond_loopback
from app.settings import Settings
from app.supervisor import asking
from app.supervisor.child import Child
from app.supervisor.invitation import invitation
from app.supervisor.signals import Signals
from app.supervisor.valkey import Valkey

LOOK_SECONDS: Final = 0.2
VALKEY_SECONDS: Final = 30.0
SLOW_START_SECONDS: Final = 60.0
# Who dies so often, and has never lived for a minute, dies of its start, and will go on so.
HOPELESS_DEATHS: Final = 4
MOST_LOG_BYTES: Final = 32 * 1024 * 1024
LOG_LOOK_SECONDS: Final = 10.0

# How long a part may take to end. Each takes a second or two; on a machine that does ten other
# things, ten times that. Who does not want to wait presses Ctrl-C again.
STOP_SECONDS: Final = 20.0
WORKER_STOP_SECONDS: Final = 30.0  # a worker that works leaves after 14 s whatever happens
# A training takes what predicting leaves: with equal rights it would double every answer's time.
WORKER_NICENESS: Final = 5


class CannotStart(Exception):
    """Why the service cannot be started, and what to do."""


class Part(NamedTuple):
    """One process of the service: see `Child`."""

    name: str
    command: Sequence[str]
    stop_seconds: float
    niceness: int = 0


def _worker(queue: str) -> Part:
    command = python_command("workers", queue)
    return Part(queue, command, WORKER_STOP_SECONDS, WORKER_NICENESS)


API: Final = Part("api", python_command("app.cli", "serve"), STOP_SECONDS)
RECONCILER: Final = Part("reconciler", python_command("workers.runtime.reconcile"), STOP_SECONDS)
PARTS: Final = (API, _worker("audits"), _worker("trainings"), RECONCILER)
ENDING: Final = ({"api"}, {"audits", "trainings"}, {"reconciler"})


class Supervisor:
    """The service's processes.

    Args:
        settings: of the service; its host and port are the API's.
        parts: its processes; replaced in tests.
    """

    def __init__(self, settings: Settings, parts: Sequence[Part] = PARTS) -> None:
        self.settings = settings
        self._parts = parts
        self.data = settings.data_dir.absolute()
        self.url = base_url(settings.host, settings.port)
        self.logs = self.data / "logs"
        self._valkey = None
        if not settings.redis_url_setting:
            self._valkey = Valkey.on_a_free_port(self.data / "valkey")
        self._store: Child | None = None
        self._service: list[Child] = []
        self._began = time.monotonic()
        self._ready = False
        self._complained = False
        self._logs_seen = 0.0

    def run(self) -> int:
        """Start everything, and return when it was stopped.

        Returns:
            The exit status: 0, or 1 if something had to be killed.

        Raises:
            CannotStart, CannotListen: with the reason and the remedy.
        """
        with _only_one(self.data), Signals() as signals:
            refuse_a_used_port(self.settings.host, self.settings.port)
            self._began = time.monotonic()
            try:
                self._start(signals)
                while not signals.asked_to_end:
                    self._look()
                    signals.wait(LOOK_SECONDS)
                return self._stop(signals)
            finally:
                for child in self._children():
                    child.kill()

    def _children(self) -> list[Child]:
        return self._service + ([self._store] if self._store is not None else [])

    # Starting

    def _start(self, signals: Signals) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        say(f"Serval is starting; its files are in {self.data}")
        if self._valkey is not None:
            self._store = self._child(Part("valkey", self._valkey.command(), STOP_SECONDS))
            self._store.start()
        # The API does too, but its reason would come later.
        require_key_beyond_loopback(self.settings)
        self._wait_for_valkey()
        if signals.asked_to_end:
            return
        self._service = [self._child(part) for part in self._parts]
        for child in self._service:
            child.start()

    def _child(self, part: Part) -> Child:
        return Child(
            part.name,
            part.command,
            self._environment(),
            self.logs / f"{part.name}.log",
            part.stop_seconds,
            part.niceness,
        )

    def _environment(self) -> dict[str, str]:
        """Ours, and what was settled here. Of two names for an address the plain one is used; its
        password stays in its file, and that of a Redis which is not used is none of our Valkey's.
        """
        settled = {
            "SERVAL_DATA_DIR": str(self.data),
            "SERVAL_HOST": self.settings.host,
            "SERVAL_PORT": str(self.settings.port),
            "DATABASE_URL": self.settings.database_url_setting or self.settings.database_url,
        }
        dropped = {"SERVAL_DATABASE_URL", "SERVAL_REDIS_URL"}
        if self._valkey is None:
            settled["REDIS_URL"] = self.settings.redis_url_setting or self.settings.redis_url
        else:
            settled["REDIS_URL"] = self._valkey.url
            dropped |= {"REDIS_PASSWORD_FILE", "SERVAL_REDIS_PASSWORD_FILE"}
        ours = {name: value for name, value in os.environ.items() if name not in dropped}
        return python_environment(ours | settled)

    def _wait_for_valkey(self) -> None:
        if self._store is None or self._valkey is None or self._valkey.wait(VALKEY_SECONDS):
            return
        raise CannotStart(
            f"The embedded Valkey does not answer. The end of {self._store.log}:\n"
            f"{self._store.tail()}\nIf its files are damaged, remove {self._valkey.folder}:"
            " the jobs stand in the database."
        )

    # Watching

    def _look(self) -> None:
        for child in self._children():
            said = child.revive()
            if said is not None:
                say(f"{said} (see {child.log})")
            if child.deaths >= HOPELESS_DEATHS and not child.has_settled:
                raise CannotStart(
                    f"{child.name} died {child.deaths} times. The end of {child.log}:\n"
                    f"{child.tail()}"
                )
        if not self._ready:
            self._look_whether_ready()
        if time.monotonic() - self._logs_seen > LOG_LOOK_SECONDS:
            self._logs_seen = time.monotonic()
            with suppress(OSError):  # a full disk: the next look tries again
                self._bound_logs()

    def _look_whether_ready(self) -> None:
        why_not = asking.why_not_ready(self.url)
        seconds = time.monotonic() - self._began
        if why_not is None:
            self._ready = True
            say(f"\nServal is ready after {seconds:.1f} s: {self.url}\n\n{invitation(self.url)}")
        elif seconds > SLOW_START_SECONDS and not self._complained:
            self._complained = True
            say(f"Not ready after {seconds:.0f} s: {why_not} The logs are in {self.logs}.")

    def _bound_logs(self) -> None:
        """Keep two files of each log. They are written in append mode, so they can be emptied."""
        for path in self.logs.glob("*.log"):
            if path.stat().st_size > MOST_LOG_BYTES:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)

    # Stopping

    def _stop(self, signals: Signals) -> int:
        say("\nStopping: the API first, then the workers, which put their jobs down.")
        groups = [[child for child in self._service if child.name in names] for names in ENDING]
        groups.append([self._store] if self._store is not None else [])
        killed: list[str] = []
        for group in groups:
            for child in group:
                child.ask_to_end()
            for child in group:
                killed += [] if self._ended(child, signals) else [child.name]
        say(f"Stopped; had to be killed: {', '.join(killed)}." if killed else "Stopped.")
        return 1 if killed else 0

    def _ended(self, child: Child, signals: Signals) -> bool:
        """Whether the child ended by itself. A second Ctrl-C does not wait for it."""

        def asleep(seconds: float) -> None:
            signals.wait(seconds)
            if signals.asked_to_end > 1:
                child.kill()

        return child.wait_for_end(asleep) and signals.asked_to_end == 1


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Hold the data folder; the lock goes with the process, however that ends.

    Raises:
        CannotStart: another one holds it, or it cannot be written.
    """
    path = data / "serval.lock"
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
    except OSError as error:
        raise CannotStart(
            f"The data folder {data} cannot be written: {error.strerror}. Make it writable, or name"
            " another one: SERVAL_DATA_DIR=/path/to/folder"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read(20).strip() or "unknown"
            raise CannotStart(
                f"Another `serval up` (process {holder}) uses the data folder {data}. Stop it"
                " first, or name another folder and port: SERVAL_DATA_DIR=… SERVAL_PORT=…"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def say(text: str) -> None:
    """Tell the person at the terminal."""
    with suppress(OSError):  # the terminal may be gone; the service goes on to stop in order
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
