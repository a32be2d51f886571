"""Putting the ids of shards on the queue: at first, after a horse ended, or when they were lost.

The attempt that holds a job does its shards by itself if nobody else does. What is queued here is
work for other workers: never more than keeps all of them busy, so that the shards of a large job
and jobs that came later take turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.errors import Unavailable
from app.jobs import shards
from app.jobs.queue import JobQueue
from app.jobs.shards import OPEN, ShardAttempt, ShardLost, shard_id
from app.jobs.states import JobKind, ShardStatus
from app.jobs.tables import Job, Shard
from workers.runtime.context import WorkerContext
from workers.runtime.last_seen import SILENT_SECONDS, LastSeen

log = structlog.get_logger("workers.shards")

FEWEST_WORKERS: Final = 2
"""That are reckoned with. A Redis that was wiped knows of none for half a minute."""


def offer(context: WorkerContext, queue: JobQueue, job_id: str) -> None:
    """Queue shards of the job for as many workers as there are. Redis may be away: the reconciler
    queues what is marked as offered and is not there."""
    with context.sessions() as session:
        kind = session.scalar(select(Job.kind).where(Job.id == job_id))
        if kind is None:
            return
    try:
        workers = max(FEWEST_WORKERS, queue.workers(JobKind(kind)))
        for number in shards.take_offers(context.sessions, job_id, workers=workers):
            _enqueue(queue, shard_id(job_id, number), JobKind(kind))
    except Unavailable as error:
        log.warning("left to the reconciler", job=job_id, error=error.detail)


def _enqueue(queue: JobQueue, name: str, kind: JobKind) -> None:
    queue.forget(name)  # whatever Redis remembers of an earlier run
    queue.enqueue(name, kind)


def settle_shard(
    context: WorkerContext, job_id: str, number: int, attempt: int, reason: str
) -> None:
    """After a horse ended that was to do a shard: put the row right, and queue what is next.

    Args:
        attempt: the number that the horse claimed, 0 if it claimed none.
        reason: how the horse ended, for the case that it did not say so itself.
    """
    with context.sessions() as session:
        row = _looked_at(
            session, Job.status.in_(OPEN), Shard.job_id == job_id, Shard.number == number
        )
        gone = attempt and session.get(Job, job_id) is None
    if gone:  # the job was deleted while the horse was about to write into its folder
        context.storage.remove(context.storage.job_dir(job_id))
    if not row or row[0].status is not ShardStatus.QUEUED:
        context.queue.forget(shard_id(job_id, number))
    mine = row and attempt and row[0].status is ShardStatus.RUNNING and row[0].attempt == attempt
    if mine and _give_up(context, row[0], reason) is not None:
        log.warning("a horse ended in mid-shard", job=job_id, shard=number, reason=reason)
    offer(context, context.queue, job_id)


@dataclass(frozen=True)
class _Row:
    """What is looked at of a shard's row."""

    job_id: str
    number: int
    kind: JobKind
    status: ShardStatus
    attempt: int
    heartbeat_at: datetime | None
    offered_at: datetime | None

    @property
    def name(self) -> str:
        return shard_id(self.job_id, self.number)


def _looked_at(session: Session, *conditions: ColumnElement[bool]) -> list[_Row]:
    query = (
        select(
            Shard.job_id,
            Shard.number,
            Job.kind,
            Shard.status,
            Shard.attempt,
            Shard.heartbeat_at,
            Shard.offered_at,
        )
        .join(Job, Job.id == Shard.job_id)
        .where(*conditions)
    )
    return [_Row(*row) for row in session.execute(query)]


def _give_up(
    context: WorkerContext, row: _Row, reason: str, *, unchanged: bool = False
) -> ShardStatus | None:
    """Speak for an attempt at a shard that cannot speak any more.

    Args:
        unchanged: only if its last heartbeat is still that of ``row``.
    """
    attempt = ShardAttempt(
        context.sessions, row.job_id, row.number, row.attempt, row.kind, "", request={}, work={}
    )
    before = None
    if unchanged and row.heartbeat_at is not None:
        before = row.heartbeat_at + timedelta(microseconds=1)
    try:
        return attempt.release(
            reason, max_deaths=context.settings.max_attempts, stale_before=before
        )
    except ShardLost:
        return None


class ShardReconciler:
    """Does for shards what the reconciler does for jobs.

    Args:
        context: where they are.
        seen: remembers what was seen of each.
    """

    def __init__(self, context: WorkerContext, seen: LastSeen) -> None:
        self._context = context
        self._seen = seen

    def look(self, *, acts: bool, redis_answers: bool) -> None:
        """Look at all shards that are not done.

        Args:
            acts: whether it is this one's turn to act.
            redis_answers: whether something can be queued.

        Raises:
            SQLAlchemyError: the database is away.
        """
        with self._context.sessions() as session:
            rows = _looked_at(
                session,
                Job.status.in_(OPEN),
                Shard.status.in_((ShardStatus.QUEUED, ShardStatus.RUNNING)),
            )
        self._seen.update({row.name: row for row in rows})
        if not acts:
            return
        for row in rows:
            if row.status is ShardStatus.RUNNING:
                self._recover(row)
        if redis_answers:
            self._queue_missing(rows)
            for job_id in {row.job_id for row in rows}:
                offer(self._context, self._context.queue, job_id)

    def saw_nothing(self) -> None:
        """After a look that failed: who could not be seen was not silent, count from now on."""
        self._seen.saw_nothing()

    def _recover(self, row: _Row) -> None:
        silent = self._seen.silent_seconds(row.name)
        if silent < SILENT_SECONDS:
            return
        reason = f"its worker was not heard of for {silent:.0f} seconds"
        status = _give_up(self._context, row, reason, unchanged=True)
        if status is not None:
            log.warning("recovered", job=row.job_id, shard=row.number, reason=reason, status=status)

    def _queue_missing(self, rows: Sequence[_Row]) -> None:
        """Queue what was offered and has not been on the queue for a while."""
        try:
            waiting = {
                kind: self._context.queue.waiting(kind) for kind in {row.kind for row in rows}
            }
            for row in rows:
                offered = row.status is ShardStatus.QUEUED and row.offered_at is not None
                if not offered or row.name in waiting[row.kind]:
                    self._seen.found(row.name)
                elif self._seen.is_lost(row.name):
                    self._seen.found(row.name)
                    _enqueue(self._context.queue, row.name, row.kind)
                    log.info("queued again", job=row.job_id, shard=row.number)
        except Unavailable as error:
            log.warning("Redis is away", error=error.detail)
