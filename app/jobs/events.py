"""A job's events: what happened to it, as a list or as it happens (server-sent events).

An event's id is its number within the job, so a client that was cut off goes on after the last one
it saw (`Last-Event-ID`). Progress is not stored: a stream tells the present one when it changes,
without an id.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import anyio
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import ServerSentEvent
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.access.quotas import PerKeyQuota
from app.errors import TooMany
from app.jobs.schemas import Event, Progress
from app.jobs.states import JobStatus
from app.jobs.tables import Job, JobEvent

MOST_EVENTS = 1000  # of one answer or one look; the rest comes with the next


class Waiters:
    """Counts the requests that wait on jobs, refuses the one too many, and can end all waits.

    A key may have half of them. For the event loop alone.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._quota = PerKeyQuota()
        self._ended = False
        self._sleepers: set[anyio.CancelScope] = set()

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._quota.held

    @contextmanager
    def one(self, owner: str) -> Iterator[None]:
        """Wait as one of them, for that key.

        Raises:
            TooMany: that many are waiting already, or the key has its share of them.
        """
        if self.waiting >= self.most:
            raise _too_many(f"{self.most} requests are waiting on jobs already.")
        share = max(1, self.most // 2)
        if self._quota.full(owner, share):
            raise _too_many(
                f"{share} requests of this key are waiting on jobs already, of the {self.most} that"
                " may wait at a time."
            )
        with self._quota.one(owner):
            yield

    async def sleep(self, seconds: float) -> bool:
        """Sleep between two looks at a job; whether to look again, or to answer what is known."""
        if not self._ended:
            with anyio.move_on_after(seconds) as sleeper:
                self._sleepers.add(sleeper)
                try:
                    await anyio.sleep_forever()
                finally:
                    self._sleepers.discard(sleeper)
        return not self._ended

    def end(self) -> None:
        """End all waits, now and from now on: the service stops, and would cut them off."""
        self._ended = True
        for sleeper in self._sleepers:
            sleeper.cancel()


@dataclass(frozen=True, kw_only=True)
class WaitersState:
    """What waiting on jobs needs of the application's state."""

    waiters: Waiters


def _too_many(already: str) -> TooMany:
    return TooMany(f"{already} Poll the job instead.", code="too_many_waiters", retry_after=2)


class JobSnapshot(NamedTuple):
    """What one look at a job's row tells."""

    version: int
    status: JobStatus
    progress: Progress


def snapshot(sessions: sessionmaker[Session], job_id: str) -> JobSnapshot | None:
    """Look at the job's row, or None if it is gone."""
    columns = (
        Job.version,
        Job.status,
        Job.progress_done,
        Job.progress_total,
        Job.progress_unit,
        Job.progress_eta,
    )
    with sessions() as session:
        row = session.execute(select(*columns).where(Job.id == job_id)).one_or_none()
    if row is None:
        return None
    version, status, done, total, unit, eta = row
    return JobSnapshot(
        version, status, Progress(done=done, total=total, unit=unit, eta_seconds=eta)
    )


def after(session: Session, job_id: str, seq: int = 0, limit: int = MOST_EVENTS) -> list[JobEvent]:
    """The job's events with numbers above ``seq``, in order."""
    query = (
        select(JobEvent)
        .where(JobEvent.job_id == job_id, JobEvent.seq > seq)
        .order_by(JobEvent.seq)
        .limit(limit)
    )
    return list(session.scalars(query))


async def until_terminal(
    sessions: sessionmaker[Session],
    job_id: str,
    *,
    seconds: float,
    poll_seconds: float,
    waiters: Waiters,
    gone: Callable[[], Awaitable[bool]],
) -> None:
    """Return when the job has ended, after ``seconds``, when all waits are ended, or when the
    client is ``gone``. No thread is held meanwhile."""
    with anyio.move_on_after(seconds):
        while not await gone():
            seen = await run_in_threadpool(snapshot, sessions, job_id)
            if seen is None or seen.status.terminal or not await waiters.sleep(poll_seconds):
                return


async def follow(
    sessions: sessionmaker[Session],
    job_id: str,
    *,
    seq: int,
    poll_seconds: float,
    waiters: Waiters,
    may_follow: Callable[[], Awaitable[bool]],
) -> AsyncIterator[ServerSentEvent]:
    """The job's events after ``seq``, then each as it comes, until the job has ended, all waits are
    ended, or the client may not follow it any more: one that finds no end among them asks again."""

    def look() -> list[Event]:
        with sessions() as session:
            return [Event.of(row) for row in after(session, job_id, seq)]

    version, progress = -1, Progress()
    while await may_follow():
        seen = await run_in_threadpool(snapshot, sessions, job_id)
        if seen is None:
            return
        if seen.version != version:
            events = await run_in_threadpool(look)
            for event in events:
                seq = event.id
                yield ServerSentEvent(event=event.type, data=event, id=str(event.id))
            if len(events) == MOST_EVENTS:
                continue
            version = seen.version
        if seen.status.terminal:
            return
        if seen.progress != progress:
            progress = seen.progress
            yield ServerSentEvent(event="progress", data=progress)
        if not await waiters.sleep(poll_seconds):
            return
