"""Putting a job back on the queue: after its horse ended, or when nobody is at it any more."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.audits import files
from app.errors import Unavailable
from app.jobs import shards
from app.jobs.attempts import ALIVE, Attempt, Superseded
from app.jobs.service import mark_enqueued
from app.jobs.shards import parse_shard_id
from app.jobs.states import QUEUED_KINDS, TERMINAL, JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.ids import is_id
from app.studies import driving
from app.trainings.kept_checkpoint import kept_checkpoint, outlives
from workers.runtime.context import WorkerContext
from workers.runtime.shard_recovery import settle_shard

KEEPING_NOTHING: Final = (JobStatus.FAILED, JobStatus.CANCELLED)

log = structlog.get_logger("workers.recovery")


def requeue(context: WorkerContext, job_id: str, kind: JobKind) -> None:
    """Put the id of a queued job on the queue, whatever Redis remembers of earlier runs.

    Once too often does no harm: of two horses with the same id, one finds the job claimed.

    Raises:
        Unavailable: Redis is away.
    """
    context.queue.forget(job_id)
    context.queue.enqueue(job_id, kind)
    with context.sessions() as session:
        mark_enqueued(session, job_id)


def give_up(
    context: WorkerContext, job: Job, reason: str, *, unchanged_since: datetime | None = None
) -> JobStatus | None:
    """Speak for an attempt that cannot speak any more: the job is queued again, or ends.

    Args:
        context: where the job is.
        job: its row.
        reason: what happened to the attempt.
        unchanged_since: the heartbeat that was its last; with a later one nothing is done.

    Returns:
        The new status, or None if the attempt lives or the job moved on without it.
    """
    attempt = Attempt(context.sessions, job.id, job.attempt, job.kind, job.owner, request={})
    before = None if unchanged_since is None else unchanged_since + timedelta(microseconds=1)
    try:
        return attempt.release(
            reason, max_deaths=context.settings.max_attempts, stale_before=before
        )
    except Superseded:
        return None


def settle(context: WorkerContext, job_id: str, attempt: int, reason: str) -> None:
    """After a horse ended: put the row right, and queue what is to be queued.

    Whatever goes wrong here is left to the reconciler: a worker does not end for it.

    Args:
        context: where the job is.
        job_id: the job, or a shard of one.
        attempt: the number that the horse claimed, 0 if it claimed none.
        reason: how the horse ended, for the case that it did not say so itself.
    """
    try:
        _settle(context, job_id, attempt, reason)
    except Unavailable as error:
        log.warning("left to the reconciler", job=job_id, error=error.detail)
    except Exception as error:
        log.error("left to the reconciler", job=job_id, exc_info=error)


def _settle(context: WorkerContext, job_id: str, attempt: int, reason: str) -> None:
    shard = parse_shard_id(job_id)
    if shard is not None:
        settle_shard(context, *shard, attempt, reason)
        return
    with context.sessions() as session:
        job = session.get(Job, job_id)
    if job is None:
        if is_id(job_id):
            context.queue.forget(job_id)
        return
    status: JobStatus | None = job.status
    if attempt and job.attempt == attempt and job.status in ALIVE:
        status = give_up(context, job, reason)
        log.warning("a horse ended in mid-job", job=job_id, reason=reason, status=status)
    if status is not None and status.terminal:
        clear_away(context, [job_id])
        context.queue.forget(job_id)
        driving.drive_all_with(context, job_id)
    if not attempt:
        # Whatever kept the horse from claiming the job (a full disk, no memory) keeps the next one
        # from it too, and it counts as no death. The reconciler takes its time.
        return
    with context.sessions() as session:
        waiting = _family(session, job)
    for waiting_id, kind in waiting:
        requeue(context, waiting_id, kind)


def clear_away(context: WorkerContext, job_ids: Sequence[str]) -> int:
    """Remove the files and shards that those of the jobs which have ended need no more.

    A cancel may win when an audit has published its findings already, and an attempt that was
    thought dead may publish its own later: the row tells which count, if any.

    Returns:
        From how many jobs something was removed.
    """
    columns = (Job.id, Job.kind, Job.status, Job.attempt, Job.error)
    with context.sessions() as session:
        # What a study keeps are its tables, which its owner may want for as long as the job.
        worked = (Job.kind.in_(QUEUED_KINDS), Job.status.in_(TERMINAL))
        query = select(*columns).where(Job.id.in_(job_ids), *worked)
        ended = list(session.execute(query))
        shards.forget(session, job_ids)
        session.commit()
    diverged = {one.id for one in ended if outlives(one.kind, one.status, one.error)}
    failed = {one.id for one in ended if one.status in KEEPING_NOTHING}
    _say_size(context, sorted(failed - diverged), 0)
    for job_id in sorted(diverged):
        _say_size(context, [job_id], _checkpoint_bytes(context, job_id))
    cleared = 0
    for job_id, kind, status, attempt, _ in ended:
        found = status is JobStatus.SUCCEEDED and kind is JobKind.AUDIT
        if job_id in diverged:
            idle = list(_beside_the_checkpoint(context, job_id))
        else:
            idle = list(_idle(context, job_id, found_by=attempt if found else None))
        for path in idle:
            context.storage.remove(path)
        cleared += bool(idle)
    return cleared


def _say_size(context: WorkerContext, job_ids: Sequence[str], size: int) -> None:
    """Before the files go: whoever dies then leaves files that the next collection finds."""
    with context.sessions.begin() as session:
        session.execute(
            update(Job)
            .where(Job.id.in_(job_ids), Job.bytes != size)
            .values(bytes=size, audio_bytes=0)
            .execution_options(synchronize_session=False)
        )


def _checkpoint_bytes(context: WorkerContext, job_id: str) -> int:
    kept = kept_checkpoint(context.storage, job_id)
    return 0 if kept is None else kept.stat().st_size


def _beside_the_checkpoint(context: WorkerContext, job_id: str) -> Iterator[Path]:
    """All files of a training but the checkpoint that outlives it."""
    folder = context.storage.job_dir(job_id)
    kept = kept_checkpoint(context.storage, job_id)
    if kept is None:
        yield from [folder] if folder.exists() else []
    else:
        yield from (path for path in folder.rglob("*") if path.is_file() and path != kept)


def _idle(context: WorkerContext, job_id: str, *, found_by: int | None) -> Iterator[Path]:
    """What nobody will look at: all that is there, but for the inputs of an audit and what the
    attempt found that succeeded."""
    folder = context.storage.job_dir(job_id)
    if found_by is None:
        if folder.exists():
            yield folder
        return
    kept = {files.INPUTS, files.attempt_dir(context.storage, job_id, found_by).name}
    yield from (path for path in folder.glob("*") if path.is_dir() and path.name not in kept)


def _family(session: Session, job: Job) -> list[tuple[str, JobKind]]:
    """Of the job, its siblings and its children, those that wait and are not on the queue yet."""
    relatives = Job.parent_id == job.id
    if job.parent_id is not None:
        relatives |= Job.parent_id == job.parent_id
    new = relatives & Job.enqueued_at.is_(None)
    query = select(Job.id, Job.kind).where(Job.status == JobStatus.QUEUED, new | (Job.id == job.id))
    return [(row.id, JobKind(row.kind)) for row in session.execute(query)]
