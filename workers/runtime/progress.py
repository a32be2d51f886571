"""A running job's other thread: it tells that the job is alive, and ends it when it must end.

The main thread may be inside a network for minutes. So this thread beats, and looks at the job's
row five times a second: a cancel, a lost fence and the time limit take effect at once, without
Redis and without the main thread's help. SIGTERM is collected here as well; the main thread is
asked to put the job down, and if it does not get there in time, the job is given back as of its
last checkpoint.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Protocol, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.jobs.attempts import ALIVE, Attempt, CancelRequested, Superseded
from app.jobs.shards import ShardAttempt
from app.jobs.states import JobStatus
from workers.runtime.retries import retry_while_database_is_away

log = structlog.get_logger("workers.progress")

LOOK_SECONDS: Final = 0.2
"""A cancel is to take effect within a second, on a busy machine too."""
BEAT_SECONDS: Final = 2.0
"""Four missed beats and the job is given to another worker, see `workers.runtime.reconcile`."""
REPORT_SECONDS: Final = 0.5
"""Progress is for people: two updates a second are enough, and cost the database nothing."""
GRACE_SECONDS: Final = 10.0
"""From SIGTERM until the job is given back without the main thread. The worker leaves after 14."""


class Stopped(Exception):
    """The worker is to stop: save a checkpoint if there is something to save, and raise on."""


def _leave() -> None:
    """End this process now, whatever its other thread is doing."""
    sys.stderr.flush()
    os._exit(0)


class Watched(Protocol):
    """An attempt, at a job or at a shard of one."""

    def status(self) -> JobStatus:
        """What the job's row says now."""

    def heartbeat(self) -> None:
        """Say that the attempt is alive."""

    def progress(
        self,
        done: float,
        total: float | None = None,
        unit: str | None = None,
        *,
        eta_seconds: float | None = None,
    ) -> None:
        """Tell how far it is."""

    def cancelled(self) -> None:
        """Confirm a cancel."""

    def fail(self, error: dict[str, Any]) -> None:
        """End with an error."""

    def release(self, reason: str) -> object:
        """Give back what is not done."""


class Watch:
    """Watches one attempt while it runs; a context manager.

    Args:
        attempt: the attempt.
        time_limit_seconds: after which the job fails.
        leave: ends the process; replaced in tests.
    """

    def __init__(
        self,
        attempt: Watched,
        *,
        time_limit_seconds: float,
        leave: Callable[[], None] = _leave,
    ) -> None:
        self._attempt = attempt
        self._beside: ShardAttempt | None = None
        self._limit = time_limit_seconds
        self._leave = leave
        self._stop = threading.Event()
        self._over = False  # only the main thread may end the job
        self._closed = False
        # Held while this thread ends the job or looks whether to: the main thread ends it
        # otherwise, and exactly one of them may.
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._reported_at = float("-inf")
        self._unit: str | None = None

    # For the main thread.

    def check(self) -> None:
        """Raise if the job is to be put down. Call it wherever the job can be.

        Raises:
            Stopped: the worker is shutting down.
        """
        if self._stop.is_set():
            raise Stopped

    def progress(
        self,
        done: float,
        total: float | None = None,
        unit: str | None = None,
        *,
        eta_seconds: float | None = None,
    ) -> None:
        """Tell how far the job is; too frequent news are left out, the first and last of a unit
        are not. Without ``eta_seconds`` the time left is guessed from the pace.

        Raises:
            Superseded: the job belongs to another attempt.
        """
        clock = time.monotonic()
        if clock - self._reported_at < REPORT_SECONDS and done != total and unit == self._unit:
            return
        self._reported_at, self._unit = clock, unit
        retry_while_database_is_away(
            lambda: self._attempt.progress(done, total, unit, eta_seconds=eta_seconds)
        )

    @contextmanager
    def beating(self, shard: ShardAttempt) -> Iterator[None]:
        """Tell in this block that a shard is alive, too."""
        self._beside = shard
        try:
            yield
        finally:
            self._beside = None

    def stop(self) -> None:
        """Ask for the job to be put down."""
        self._stop.set()

    def finish(self) -> None:
        """The work is done, and only the main thread may end the job now. To publish the result
        may take as long as a slow disk wants: until then the job is told to be alive."""
        with self._ending:
            self._over = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish()
        self._closed = True

    # The other thread.

    def _watch(self) -> None:
        began = beaten = time.monotonic()
        stop_by: float | None = None
        while True:
            if _terminated(LOOK_SECONDS):
                self._stop.set()
            clock = time.monotonic()
            if self._stop.is_set() and stop_by is None:
                stop_by = clock + GRACE_SECONDS
            if self._closed:
                return
            with self._ending:
                if not self._over and self._must_leave(clock - began, stop_by):
                    self._leave()
                    return
            if clock - beaten >= BEAT_SECONDS:
                beaten = clock
                self._beat()

    def _must_leave(self, seconds: float, stop_by: float | None) -> bool:
        """Whether the job is over for this process; what there is to write is written."""
        try:
            status = self._attempt.status()
            if status is JobStatus.CANCELLING:
                self._attempt.cancelled()
                return True
            if status not in ALIVE:
                log.warning("the job was taken away", status=status)
                self._give_shard_back("the job was given to another attempt")
                return True
            if seconds > self._limit:
                self._attempt.fail(time_limit_error(self._limit))
                return True
            if stop_by is not None and time.monotonic() > stop_by:
                log.warning("giving the job back as of its last checkpoint")
                self._give_shard_back("the worker was stopped")
                self._attempt.release("the worker was stopped")
                return True
        except Superseded as error:
            log.warning("stopping", reason=str(error))
            self._give_shard_back("the job was given to another attempt")
            return True
        except CancelRequested:
            return False  # the next look finds it
        except SQLAlchemyError as error:
            log.warning("cannot look at the job", error=str(error).splitlines()[0])
        return False

    def _give_shard_back(self, reason: str) -> None:
        """For others to go on with at once: else it would be missed after its silence, and count as
        one whose process died."""
        if self._beside is None:
            return
        try:
            self._beside.release(reason)
        except Superseded:
            return
        except SQLAlchemyError as error:
            log.warning("cannot give the shard back", error=str(error).splitlines()[0])

    def _beat(self) -> None:
        for attempt in (self._attempt, self._beside):
            if attempt is None:
                continue
            try:
                attempt.heartbeat()
            except Superseded:
                continue  # the next look, or the shard's next write, finds out why
            except SQLAlchemyError as error:
                log.warning("cannot tell that the job is alive", error=str(error).splitlines()[0])


class Watchdog(Watch):
    """Watches an attempt at a job."""

    def __init__(
        self,
        attempt: Attempt,
        *,
        time_limit_seconds: float,
        leave: Callable[[], None] = _leave,
    ) -> None:
        super().__init__(attempt, time_limit_seconds=time_limit_seconds, leave=leave)
        self.attempt = attempt

    def event(self, type_: str, data: dict[str, Any] | None = None) -> None:
        """Tell what happened, for clients that follow the job.

        Raises:
            Superseded: the job belongs to another attempt.
        """
        retry_while_database_is_away(lambda: self.attempt.event(type_, data))


def time_limit_error(seconds: float) -> dict[str, Any]:
    """The error of a job that took too long."""
    return {
        "code": "time_limit",
        "message": f"The job ran for {seconds:g} seconds, the limit (SERVAL_JOB_TIMEOUT_SECONDS)."
        " Ask for less work: fewer iterations, clips or attacks.",
    }


def _terminated(seconds: float) -> bool:
    """Wait so long for SIGTERM, which is blocked in a work-horse, and say whether it came.

    The kernel hands it to this thread even while the main thread is inside a long call, where a
    Python signal handler would have to wait.
    """
    if signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        time.sleep(seconds)  # not a work-horse
        return False
    return signal.sigtimedwait([signal.SIGTERM], seconds) is not None
