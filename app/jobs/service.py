"""Jobs as the API sees them: accept, read, list, cancel.

Accepting is one committed row and then an enqueue of its id. If the enqueue fails the row is taken
back and the client is told to come again; if the process dies between the two, the row is there and
the reconciler queues it.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.access import allowance
from app.access.allowance import UNLIMITED, Allowance
from app.access.deletions import service as deletions
from app.errors import Conflict, Gone, Invalid, NotFound, Unavailable, shown
from app.jobs.queue import JobQueue
from app.jobs.states import PREFIXES, TERMINAL, UNFINISHED, JobKind, JobStatus
from app.jobs.tables import Job, JobEvent
from app.jobs.transitions import move
from app.persistence import orphans
from app.persistence.database import now
from app.persistence.ids import is_id, new_id
from app.persistence.kept import tree_size
from app.persistence.pages import newest_first
from app.persistence.storage import Storage

# A submission is through in two seconds or gives up, unless it waits for SQLite's lock: of a row
# that is older the process has died, most likely, before it could say that it was accepted.
UNCONFIRMED_SECONDS = 10.0
WAIT_FOR_FIRST_SECONDS = 0.5


def _nothing(_: Session) -> None:
    """A job that needs nothing which could be deleted."""


@dataclass(frozen=True)
class Submission:
    """What is to be accepted as a job."""

    kind: JobKind
    owner: str
    request: dict[str, Any]
    model: str | None = None
    metadata: dict[str, Any] | None = None
    warnings: Sequence[str] = ()
    idempotency_key: str | None = None
    digest: str = ""
    """Stands for uploaded files in the fingerprint; the request stands for itself."""
    parent_id: str | None = None
    staged: Path | None = None
    """A folder from `storage.staging()` that becomes the job's folder: recordings."""
    staged_bytes: int = 0
    """Of its files."""
    lock_for_share: Callable[[Session], None] = _nothing
    """Keeps what the job needs from being deleted until the transaction ends; raises NotFound if
    it is gone. Called when the row is inserted: whoever deletes it looks for jobs, so either sees
    the other."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what was asked for, to know a replay from another request."""
        asked = json.dumps([self.request, self.metadata, self.digest], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()


def accept(
    session: Session,
    queue: JobQueue,
    storage: Storage,
    submission: Submission,
    most: Allowance = UNLIMITED,
) -> Job:
    """Take in a job: ping Redis, commit the row, queue its id. A replay gives the first one's.

    Args:
        most: what a key may have that has no limits of its own.

    Raises:
        TooMany: the owner has as many jobs, or keeps as many bytes, as it may.
        Unavailable: Redis is away; nothing is left behind.
        NotFound: what the job needs was deleted since it was checked; nothing is left behind.
        Conflict: the first request with this idempotency key is still being processed.
        Invalid: the idempotency key was used with another request.
    """
    replayed = replay(session, submission)
    if replayed is not None:
        return replayed
    queue.ping()
    job_id = _new_id(submission.kind)
    folder = storage.job_dir(job_id)
    staged = submission.staged
    if staged is not None:
        submission = replace(submission, staged_bytes=tree_size(staged))
        orphans.mark(staged)
        storage.publish(staged, folder)
    job = _recorded(session, storage, submission, job_id, most)
    if job.id == job_id:
        job = _enqueue(session, queue, storage, job)
        orphans.unmark(folder)  # only now: until it is queued the row may be taken back
        return job
    storage.remove(folder)  # another request with the same key was faster
    replayed = replay(session, submission)
    if replayed is None:  # and has failed since
        raise _still_running(submission)
    return replayed


def accept_running(
    session: Session,
    queue: JobQueue,
    submission: Submission,
    most: Allowance,
    begin: Callable[[Session, Job], None],
) -> Job:
    """Take in a job that no queue carries: it runs from its first moment on.

    Args:
        begin: what else is to be there if and only if the job is; called in the transaction that
            inserts it, and commits nothing.

    Raises:
        TooMany, Unavailable, NotFound, Conflict, Invalid: as `accept`; nothing is left behind.
    """
    replayed = replay(session, submission)
    if replayed is not None:
        return replayed
    queue.ping()
    job_id = _new_id(submission.kind)
    try:
        job = _inserted(session, submission, job_id, most)
        if job.id == job_id:
            running(session, job)
            begin(session, job)
    except Exception:
        session.rollback()
        raise
    session.commit()
    if job.id == job_id:
        return session.get_one(Job, job_id, populate_existing=True)
    replayed = replay(session, submission)  # another request with the same key was faster
    if replayed is None:
        raise _still_running(submission)
    return replayed


def running(session: Session, job: Job) -> None:
    """Write that a job which no queue carries runs, for the first time or again; the caller
    commits."""
    attempt = job.attempt + 1
    move(
        session,
        job.id,
        event=JobStatus.RUNNING,
        data={"attempt": attempt},
        status=JobStatus.RUNNING,
        attempt=attempt,
        started_at=job.started_at or now(),
        finished_at=None,
        enqueued_at=job.enqueued_at or now(),
        result=None,
        error=None,
    )


def check_allowance(session: Session, owner: str, most: Allowance) -> None:
    """Refuse one more unfinished job of the owner, which is flushed, if it has as many as it may.

    Raises:
        TooMany: it has.
    """
    unfinished = select(func.count()).where(Job.owner == owner, Job.status.in_(UNFINISHED))
    allowance.check_jobs(session, owner, most, unfinished)


def _recorded(
    session: Session, storage: Storage, submission: Submission, job_id: str, most: Allowance
) -> Job:
    """Commit the row; files of a job that was not inserted are gone.

    If the commit fails, the row may be there all the same and only the answer was lost. So the
    files stay then, with their mark: `orphans.collect` looks what became of the row.
    """
    try:
        job = _inserted(session, submission, job_id, most)
    except Exception:
        session.rollback()
        storage.remove(storage.job_dir(job_id))
        raise
    session.commit()
    return job


def _inserted(session: Session, submission: Submission, job_id: str, most: Allowance) -> Job:
    """`insert`, or the row that was made under the same idempotency key before."""
    try:
        job = insert(session, submission, job_id=job_id)
    except IntegrityError:
        session.rollback()
        first = _first(session, submission)
        if first is None:
            raise
        return first
    _check_allowance(session, submission, most)
    return job


def _check_allowance(session: Session, submission: Submission, most: Allowance) -> None:
    """Only of what clients send: a job that another one causes was accepted with that one."""
    check_allowance(session, submission.owner, most)
    allowance.check_bytes(session, submission.owner, most, submission.staged_bytes)


def insert(session: Session, submission: Submission, *, job_id: str | None = None) -> Job:
    """Insert the row of a job, and tell its parent: both are there if and only if the caller
    commits.

    For workers too, which must get on without Redis: the reconciler queues the id.

    Raises:
        IntegrityError: the idempotency key was used.
        NotFound: what it needs was deleted since it was checked.
    """
    job = Job(
        id=job_id or _new_id(submission.kind),
        kind=submission.kind,
        owner=submission.owner,
        model=submission.model,
        request=submission.request,
        metadata_=submission.metadata or {},
        warnings=list(submission.warnings),
        idempotency_key=submission.idempotency_key,
        fingerprint=submission.fingerprint,
        parent_id=submission.parent_id,
        bytes=submission.staged_bytes,
        audio_bytes=submission.staged_bytes,
    )
    session.add(job)
    session.flush()
    # Now and not before: on SQLite it is this first write that shuts others out.
    submission.lock_for_share(session)
    session.add(JobEvent(job_id=job.id, seq=1, type=JobStatus.QUEUED, data={}))
    if submission.parent_id is not None:
        data = {"id": job.id, "kind": submission.kind}
        move(session, submission.parent_id, event="caused", data=data)
    return job


def _new_id(kind: JobKind) -> str:
    return new_id(PREFIXES[kind])


def mark_enqueued(session: Session, job_id: str) -> bool:
    """Note that the submission is through: from now on the job is never taken back.

    Returns:
        Whether the job is there; False if it was taken back before.
    """
    statement = update(Job).where(Job.id == job_id).values(enqueued_at=now()).returning(Job.id)
    marked = session.scalar(statement.execution_options(synchronize_session=False))
    session.commit()
    return marked is not None


def _enqueue(session: Session, queue: JobQueue, storage: Storage, job: Job) -> Job:
    try:
        queue.enqueue(job.id, job.kind)
    except Unavailable:
        if _take_back(session, job):
            storage.remove(storage.job_dir(job.id))
            raise
        # Redis did take it, and a worker was faster than the time-out; or a replay was answered
        # with the job meanwhile, and the reconciler queues it.
    mark_enqueued(session, job.id)
    return session.get_one(Job, job.id, populate_existing=True)


def _take_back(session: Session, job: Job) -> bool:
    """Delete the row unless somebody has acted on it, or answered for it; whether it is gone."""
    untouched = (Job.status == JobStatus.QUEUED, Job.attempt == 0, Job.enqueued_at.is_(None))
    session.execute(
        delete(Job).where(Job.id == job.id, *untouched).execution_options(synchronize_session=False)
    )
    session.commit()
    session.expunge(job)
    return session.get(Job, job.id) is None


def _first(session: Session, submission: Submission) -> Job | None:
    """The job that was made under the submission's idempotency key."""
    if submission.idempotency_key is None:
        return None
    return session.execute(
        select(Job)
        .where(
            Job.owner == submission.owner,
            Job.kind == submission.kind,
            Job.idempotency_key == submission.idempotency_key,
        )
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()


def replay(session: Session, submission: Submission) -> Job | None:
    """The first job under the submission's key, once it is certain to stay; None if there is none.

    `accept` asks too. Who checks a submission asks before: what was accepted once is not judged
    again by a corpus that was deleted since, or a limit that was lowered.

    Raises:
        Conflict, Invalid: as `accept`.
    """
    until = time.monotonic() + WAIT_FOR_FIRST_SECONDS
    while True:
        first = _first(session, submission)
        session.commit()  # gives the connection back, and the next look sees what came meanwhile
        if first is None:
            return None
        if first.fingerprint != submission.fingerprint:
            raise Invalid(
                f"The Idempotency-Key {shown(submission.idempotency_key)} was used for another"
                " request. Use a new key for a new request.",
                code="idempotency_key_reused",
            )
        if _stays(session, first):
            return first
        if time.monotonic() > until:
            raise _still_running(submission)
        time.sleep(0.02)


def _stays(session: Session, job: Job) -> bool:
    """Whether the job is certain to stay. One whose process seems dead is made to.

    The process may live after all, and be about to take the job back: of its DELETE and this
    UPDATE of the same row, the first one wins. No clock decides it.
    """
    if job.enqueued_at is not None or job.status is not JobStatus.QUEUED:
        return True
    age = (now() - job.created_at).total_seconds()
    return age > UNCONFIRMED_SECONDS and mark_enqueued(session, job.id)


def _still_running(submission: Submission) -> Conflict:
    return Conflict(
        f"The first request with the Idempotency-Key {shown(submission.idempotency_key)} is still"
        " being processed. Send this one again in a second.",
        code="idempotency_key_in_use",
        headers={"Retry-After": "1"},
    )


def get(session: Session, job_id: str, *, owner: str, kind: JobKind | None = None) -> Job:
    """The job.

    Raises:
        NotFound: there is none with this id, it is of another kind, or another key's.
        Gone: it was deleted, because its time was over.
    """
    job = session.get(Job, job_id, populate_existing=True) if is_id(job_id) else None
    if job is None or job.owner != owner or (kind is not None and job.kind is not kind):
        if job is None and is_id(job_id):
            _check_expired(session, job_id, owner)
        noun = kind or "job"
        where = f"/v1/{kind.collection}" if kind else "/v1/jobs"
        raise NotFound(f"There is no {noun} {shown(job_id)}. GET {where} lists yours.")
    return job


def _check_expired(session: Session, job_id: str, owner: str) -> None:
    gone = deletions.expired(session, job_id, owner=owner)
    if gone is not None:
        raise Gone(
            f"{job_id} was deleted on {gone.created_at:%Y-%m-%d at %H:%M} UTC, when its time was"
            f" over ({gone.reason}), with its result and files.",
            code="job_expired",
        )


def list_page(
    session: Session,
    *,
    owner: str,
    kind: JobKind | None = None,
    status: JobStatus | None = None,
    after: str | None = None,
    limit: int = 20,
) -> tuple[list[Job], bool]:
    """The owner's jobs, newest first, and whether there are more.

    Raises:
        Invalid: ``after`` is not the id of one of the owner's jobs.
    """
    wanted = []
    if kind is not None:
        wanted.append(Job.kind == kind)
    if status is not None:
        wanted.append(Job.status == status)
    return newest_first(session, Job, *wanted, owner=owner, after=after, limit=limit)


class Link(NamedTuple):
    """A job that another one caused."""

    id: str
    kind: JobKind


def caused(session: Session, job_ids: Iterable[str]) -> dict[str, list[Link]]:
    """For each of the jobs, those that it caused, oldest first."""
    job_ids = list(job_ids)
    if not job_ids:
        return {}
    query = (
        select(Job.id, Job.kind, Job.parent_id)
        .where(Job.parent_id.in_(job_ids))
        .order_by(Job.created_at, Job.id)
    )
    links: dict[str, list[Link]] = {}
    for job_id, kind, parent_id in session.execute(query):
        assert parent_id is not None  # it is one of job_ids
        links.setdefault(parent_id, []).append(Link(job_id, JobKind(kind)))
    return links


def cancel(session: Session, job_id: str, *, owner: str, kind: JobKind | None = None) -> Job:
    """Cancel the job: at once if it is queued, else its worker is asked and stops within a second.

    A job that has ended stays as it is: of a cancel and a finish that race, the first one wins.

    Raises:
        NotFound: as `get`.
    """
    while True:
        job = get(session, job_id, owner=owner, kind=kind)
        if job.status in TERMINAL or job.status is JobStatus.CANCELLING:
            return job
        stop(session, job_id, job.status)
        session.commit()  # whether it moved, or the job moved first, the next look tells


def stop(session: Session, job_id: str, status: JobStatus) -> bool:
    """Cancel a job that is queued, or ask the worker of a running one to stop; the caller commits.

    Returns:
        Whether that is written: not if it has another status by now.
    """
    if status not in (JobStatus.QUEUED, JobStatus.RUNNING):
        return False
    values: dict[str, Any] = (
        {"status": JobStatus.CANCELLED, "finished_at": now()}
        if status is JobStatus.QUEUED
        else {"status": JobStatus.CANCELLING}
    )
    moved = move(session, job_id, Job.status == status, event=values["status"], **values)
    return moved is not None
