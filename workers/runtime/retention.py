"""Removing what is kept no longer: recordings, jobs, and rows of the trail of deletions.

Each look does a bounded piece of work. Recordings are first marked in their row, in the transaction
that writes the trail; from then on nobody is given them. Then the files go, and then the row says
that they are gone. Whoever dies in between leaves a row that says what is still to be done, so the
next look goes on; doing it twice does no harm. A job goes as by DELETE, its row first and its files
then, which `app.persistence.orphans` removes if this process dies in between.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session, aliased

from app.access.deletions import service as deletions
from app.access.deletions.service import RETENTION, Order
from app.audits import files
from app.corpora.tables import Corpus
from app.errors import Conflict, Gone, NotFound
from app.jobs import deletion, retention
from app.jobs.retention import Retention
from app.jobs.states import TERMINAL, UNFINISHED, JobKind, JobStatus
from app.jobs.tables import Job
from app.jobs.transitions import move
from app.persistence.database import now
from app.persistence.kept import tree_size
from app.registry.tables import Model
from workers.runtime.context import WorkerContext

log = structlog.get_logger("workers.retention")

MOST: Final = 100
"""Of each kind at one look: some seconds of work, beside which jobs are looked after."""
MOST_SECONDS: Final = 2.0
MOST_ROWS: Final = 1000
"""Of the trail of deletions, which have no files."""

Effect = aliased(Job)


class _Look:
    """One look: where it works, and until when."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self._until = time.monotonic() + MOST_SECONDS
        self.cut_short = False

    def each(self, ids: Sequence[str], act: Callable[[str], bool]) -> int:
        """Act on each, as long as there is time; on how many there was something to do."""
        self.cut_short |= len(ids) >= MOST
        done = 0
        for one in ids:
            if time.monotonic() > self._until:
                self.cut_short = True
                break
            try:
                done += act(one)
            except OSError as error:  # of one folder: the others are not to wait for it
                log.warning("cannot remove what is kept no longer", id=one, error=str(error))
        return done


def enforce(context: WorkerContext) -> bool:
    """Do a bounded piece of what is due; whether there is more.

    Raises:
        Unavailable: the files are not at hand; nothing is done then.
    """
    context.storage.require()
    keep = Retention.of(context.settings)
    look = _Look(context)
    _measure(look)
    recordings = 0 if keep.audio is None else _expire_audio(look, now() - keep.audio)
    _remove_audio(look)
    jobs = 0
    if keep.results is not None:
        succeeded = (JobStatus.SUCCEEDED,)
        jobs += _delete_jobs(look, retention.RESULTS, succeeded, now() - keep.results)
    if keep.failed is not None:
        ended = (JobStatus.FAILED, JobStatus.CANCELLED)
        jobs += _delete_jobs(look, retention.FAILED, ended, now() - keep.failed)
    _forget_deletions(look)
    if recordings or jobs:
        log.info("kept no longer", recordings=recordings, jobs=jobs)
    return look.cut_short


def _ids(look: _Look, *conditions: ColumnElement[bool]) -> Sequence[str]:
    query = select(Job.id).where(*conditions).order_by(Job.finished_at, Job.id).limit(MOST)
    with look.context.sessions() as session:
        return session.scalars(query).all()


def _expire_audio(look: _Look, before: datetime) -> int:
    """Say that recordings are given to nobody any more; of how many audits."""
    due = (
        Job.status == JobStatus.SUCCEEDED,
        Job.audio_bytes > 0,
        Job.audio_expired_at.is_(None),
        Job.finished_at < before,
    )
    order = Order(RETENTION, retention.AUDIO)

    def expire(job_id: str) -> bool:
        with look.context.sessions.begin() as session:
            job = session.get(Job, job_id)
            data = {"setting": retention.AUDIO}
            if job is None or not move(
                session, job_id, *due, event="audio_expired", data=data, audio_expired_at=now()
            ):
                return False
            freed = job.audio_bytes
            deletions.record(session, order, "audio", job_id, owner=job.owner, freed=freed)
        return True

    return look.each(_ids(look, *due), expire)


def _remove_audio(look: _Look) -> None:
    """Remove the recordings that are given to nobody any more."""
    due = (Job.audio_bytes > 0, Job.audio_expired_at.is_not(None))

    def remove(job_id: str) -> bool:
        with look.context.sessions.begin() as session:
            job = session.get(Job, job_id)
            if job is None:
                return False
            files.remove_audio(look.context.storage, job_id, job.attempt)
            _say(session, Job.id == job_id, *_sizes(look, job_id, job.attempt))
        return True

    look.each(_ids(look, *due), remove)


def _sizes(look: _Look, job_id: str, attempt: int) -> tuple[int, int]:
    found = files.sizes(look.context.storage, job_id, attempt)
    return found.all, found.audio


def _say(session: Session, which: ColumnElement[bool], size: int, audio: int) -> None:
    """What a client sees of the job does not change, so neither does its version."""
    session.execute(
        update(Job)
        .where(which)
        .values(bytes=size, audio_bytes=audio)
        .execution_options(synchronize_session=False)
    )


def _delete_jobs(look: _Look, setting: str, statuses: Sequence[JobStatus], before: datetime) -> int:
    # What caused a job that has not ended is needed still; `deletion` looks once more.
    in_use = exists().where(Effect.parent_id == Job.id, Effect.status.in_(UNFINISHED))
    due = (Job.status.in_(statuses), Job.finished_at < before, ~in_use)
    order = Order(RETENTION, setting)

    def delete(job_id: str) -> bool:
        with look.context.sessions() as session:
            job = session.get(Job, job_id)
            if job is None:
                return False
            storage = look.context.storage
            try:
                deletion.delete(session, storage, job_id, owner=job.owner, order=order)
            except (Conflict, Gone, NotFound):  # somebody was faster
                return False
        return True

    return look.each(_ids(look, *due), delete)


def _forget_deletions(look: _Look) -> None:
    days = look.context.settings.keep_deletions_days
    if days:
        with look.context.sessions() as session:
            before = now() - timedelta(days=days)
            gone = deletions.forget(session, before, most=MOST_ROWS)
        look.cut_short |= gone >= MOST_ROWS


def _measure(look: _Look) -> None:
    """Say how large is what was there before rows said so."""

    def measure(job_id: str) -> bool:
        with look.context.sessions.begin() as session:
            job = session.get(Job, job_id)
            if job is None:
                return False
            succeeded = job.kind is JobKind.AUDIT and job.status is JobStatus.SUCCEEDED
            sizes = _sizes(look, job_id, job.attempt) if succeeded else (0, 0)
            _say(session, Job.bytes.is_(None) & (Job.id == job_id), *sizes)
        return True

    look.each(_ids(look, Job.bytes.is_(None), Job.status.in_(TERMINAL)), measure)
    _measure_folders(look, Corpus)
    _measure_folders(look, Model)


def _measure_folders(look: _Look, table: type[Corpus | Model]) -> None:
    storage = look.context.storage
    folder = storage.corpus_dir if table is Corpus else storage.model_dir

    def measure(name: str) -> bool:
        with look.context.sessions.begin() as session:
            session.execute(
                update(table).where(table.id == name).values(bytes=tree_size(folder(name)))
            )
        return True

    with look.context.sessions() as session:
        names = session.scalars(select(table.id).where(table.bytes.is_(None)).limit(MOST)).all()
    look.each(names, measure)
