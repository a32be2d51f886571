"""The pulse of a background process: it beats while database, queue and data folder answer."""

import time
from collections.abc import Callable
from typing import Final

from redis import Redis

from app.jobs.queue import brief_client
from app.operations.heartbeat import BEAT_SECONDS, Heartbeats
from app.operations.needs import Needs, Outages
from workers.runtime.context import WorkerContext

WAIT_SECONDS: Final = 1.0
"""Between two looks while something is missing."""


class Pulse:
    """Looks at what a process needs, tells what has changed, and touches the heartbeat file.

    Args:
        context: whose database and files are looked at.
        name: of the process, see `Heartbeats`.
        redis: a client that gives up soon; made of the settings if there is none.
        outages: tells of them; others may find out too.
    """

    def __init__(
        self,
        context: WorkerContext,
        name: str,
        redis: Redis | None = None,
        outages: Outages | None = None,
    ) -> None:
        settings = context.settings
        timeout = settings.redis_timeout_seconds
        self._needs = Needs(
            context, redis or brief_client(settings.redis_url, timeout_seconds=timeout)
        )
        self._outages = outages or Outages()
        self._heartbeat = Heartbeats.of(settings, name).mine()
        self._next = float("-inf")

    def beat(self) -> bool:
        """Whether the process can work. The heartbeat file is touched if it can."""
        missing = self._needs.missing()
        self._outages.report(missing)
        if missing:
            return False
        self._next = time.monotonic() + BEAT_SECONDS
        try:
            self._heartbeat.beat()
        except OSError:  # the disk became full just now: the next look says so
            return False
        return True

    def wait(self, asleep: Callable[[float], object] = time.sleep) -> None:
        """Return when the process can work; at once if it could a moment ago.

        Args:
            asleep: waits for some seconds. What it raises ends the wait.
        """
        if time.monotonic() < self._next:
            return
        while not self.beat():
            asleep(WAIT_SECONDS)

    def stop(self) -> None:
        """The process ends in good order: its file goes."""
        self._heartbeat.stop()
