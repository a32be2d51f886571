"""Parts of a running job that any worker of its kind may do.

The attempt that holds a job may split it. It then does one shard after another itself, while other
workers take shards whose ids were put on the queue; when all are done, it joins what they made. So
a job needs no second worker and no Redis to be finished, and clients see nothing but the job.

A shard is guarded as a job is: a `ShardAttempt` may write only while the row holds its number, and
raises `ShardLost` once it does not. It need not be given up when the attempt at the job is: shards
that other workers do go on, and the job's next attempt finds them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.jobs.attempts import Attempt, Superseded
from app.jobs.states import TERMINAL, JobKind, JobStatus, ShardStatus
from app.jobs.tables import Job, Shard
from app.persistence.database import now
from app.persistence.ids import is_id

OPEN: Final = (JobStatus.QUEUED, JobStatus.RUNNING)
"""Of a job whose shards are worth doing. A queued one was put down, and goes on."""
_parts = re.compile(r"(\w+)-([0-9]{4})").fullmatch


class ShardLost(Superseded):
    """The shard belongs to another attempt, or its job has ended."""


def shard_id(job_id: str, number: int) -> str:
    """What stands on the queue for a shard."""
    return f"{job_id}-{number:04d}"


def parse_shard_id(text: str) -> tuple[str, int] | None:
    """The job and the number; None if the text is not the id of a shard."""
    found = _parts(text)
    if found is None or not is_id(found[1]):
        return None
    return found[1], int(found[2])


@dataclass
class ShardAttempt:
    """One run of a shard. Made by `claim` or `claim_any`; every method is one short transaction.

    Attributes:
        shard: its number among the job's shards.
        number: of the attempt.
        owner, request: the job's.
        work: which part it is.
        ending: whether it is to end with what it has, as of the last look at the row.
    """

    sessions: sessionmaker[Session]
    job_id: str
    shard: int
    number: int
    kind: JobKind
    owner: str
    request: dict[str, Any]
    work: dict[str, Any]
    ending: bool = False

    def status(self) -> JobStatus:
        """The job's status now, where a job that was put down counts as running.

        Raises:
            ShardLost: the row is another attempt's, or gone.
        """
        query = (
            select(Job.status, Shard.ending).join(Job, Job.id == Shard.job_id).where(*self._mine())
        )
        with self.sessions() as session:
            row = session.execute(query).one_or_none()
        if row is None:
            raise ShardLost(self._lost("read its status"))
        self.ending = row.ending
        return JobStatus.RUNNING if row.status is JobStatus.QUEUED else JobStatus(row.status)

    def cancelled(self) -> None:
        """Nothing is written: the attempt at the job confirms a cancel."""

    def heartbeat(self) -> None:
        """Say that this attempt is alive.

        Raises:
            ShardLost: the row is another attempt's.
        """
        self._write("beat", heartbeat_at=now())

    def progress(
        self,
        done: float,
        total: float | None = None,  # noqa: ARG002  (the job's attempt tells of the whole)
        unit: str | None = None,  # noqa: ARG002
        *,
        eta_seconds: float | None = None,  # noqa: ARG002
    ) -> None:
        """Tell how far it is, in the unit of the job's progress.

        Raises:
            ShardLost: the row is another attempt's.
        """
        self._write("tell its progress", progress_done=done, heartbeat_at=now())

    def finish(self, result: dict[str, Any]) -> None:
        """End the shard. What it made lies where the row's attempt number leads.

        Raises:
            ShardLost: the row is another attempt's.
        """
        self._write("be done", status=ShardStatus.DONE, result=result, heartbeat_at=None)

    def fail(self, error: dict[str, Any]) -> None:
        """End the shard with ``error``, {code, message, …}, which will be the job's.

        Raises:
            ShardLost: the row is another attempt's.
        """
        self._write("fail", status=ShardStatus.FAILED, error=error, heartbeat_at=None)

    def release(
        self,
        reason: str,
        *,
        max_deaths: int | None = None,
        stale_before: datetime | None = None,
    ) -> ShardStatus:
        """Give the shard back, see :meth:`Attempt.release`.

        Returns:
            The new status.

        Raises:
            ShardLost: the row is another attempt's, or has a fresh heartbeat.
        """
        stale = () if stale_before is None else (Shard.heartbeat_at < stale_before,)
        idle: dict[str, Any] = {"heartbeat_at": None, "offered_at": None}
        with self.sessions.begin() as session:
            if max_deaths is not None:
                error = {
                    "code": "too_many_attempts",
                    "message": f"A part of the job was started {self.number} times and ended the"
                    f" process that did it {max_deaths} times; last: {reason}.",
                }
                last = (*stale, Shard.deaths + 1 >= max_deaths)
                failed = self._update(session, *last, status=ShardStatus.FAILED, error=error)
                if failed is not None:
                    return failed
                idle["deaths"] = Shard.deaths + 1
            queued = self._update(session, *stale, status=ShardStatus.QUEUED, **idle)
        if queued is None:
            raise ShardLost(self._lost("be released"))
        return queued

    def _write(self, what: str, **values: Any) -> None:
        with self.sessions.begin() as session:
            written = self._update(session, **values)
        if written is None:
            raise ShardLost(self._lost(what))

    def _update(
        self, session: Session, *conditions: ColumnElement[bool], **values: Any
    ) -> ShardStatus | None:
        statement = (
            update(Shard)
            .where(*self._mine(), *conditions)
            .values(**values)
            .returning(Shard.status)
            .execution_options(synchronize_session=False)
        )
        status = session.scalar(statement)
        return None if status is None else ShardStatus(status)

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        """The fence."""
        return (
            Shard.job_id == self.job_id,
            Shard.number == self.shard,
            Shard.attempt == self.number,
            Shard.status == ShardStatus.RUNNING,
        )

    def _lost(self, what: str) -> str:
        return (
            f"attempt {self.number} of shard {self.shard} of {self.job_id} may not {what}:"
            " it is not the current one"
        )


def split(attempt: Attempt, works: Sequence[dict[str, Any]]) -> None:
    """Make the shards of the job that ``attempt`` holds. Those of an earlier attempt stay.

    Args:
        works: which part each of them is.

    Raises:
        Superseded: the job is another attempt's.
    """
    with attempt.sessions.begin() as session:
        # The row stays locked until the commit: of two attempts, the second sees the first's.
        held = session.scalar(
            update(Job)
            .where(Job.id == attempt.job_id, Job.attempt == attempt.number)
            .values(heartbeat_at=now())
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        )
        if held is None:
            raise Superseded(f"attempt {attempt.number} of {attempt.job_id} may not split it")
        if is_split(session, attempt.job_id):
            return
        session.add_all(
            Shard(job_id=attempt.job_id, number=number, work=work)
            for number, work in enumerate(works)
        )


def is_split(session: Session, job_id: str) -> bool:
    """Whether the job has shards."""
    return session.scalar(select(exists().where(Shard.job_id == job_id))) is True


def claim(sessions: sessionmaker[Session], job_id: str, number: int) -> ShardAttempt | None:
    """Start the next attempt of a queued shard, in one conditional UPDATE.

    Returns:
        The attempt, or None if the shard is not queued, or its job is not to go on.
    """
    job_goes_on = exists().where(Job.id == Shard.job_id, Job.status.in_(OPEN))
    statement = (
        update(Shard)
        .where(
            Shard.job_id == job_id,
            Shard.number == number,
            Shard.status == ShardStatus.QUEUED,
            job_goes_on,
        )
        .values(status=ShardStatus.RUNNING, attempt=Shard.attempt + 1, heartbeat_at=now())
        .returning(Shard.attempt, Shard.work, Shard.ending)
        .execution_options(synchronize_session=False)
    )
    with sessions.begin() as session:
        row = session.execute(statement).one_or_none()
        if row is None:
            return None
        job = session.get_one(Job, job_id)
    return ShardAttempt(
        sessions=sessions,
        job_id=job_id,
        shard=number,
        number=row.attempt,
        kind=job.kind,
        owner=job.owner,
        request=job.request,
        work=row.work,
        ending=row.ending,
    )


def claim_any(sessions: sessionmaker[Session], job_id: str) -> ShardAttempt | None:
    """Start a shard of the job: rather one that no other worker is about to take from the queue.

    Returns:
        The attempt, or None if none is queued.
    """
    while True:
        with sessions() as session:
            number = session.scalar(
                select(Shard.number)
                .where(Shard.job_id == job_id, Shard.status == ShardStatus.QUEUED)
                .order_by(Shard.offered_at.is_not(None), Shard.number.desc())
                .limit(1)
            )
            goes_on = session.scalar(select(Job.status.in_(OPEN)).where(Job.id == job_id))
        if number is None or not goes_on:
            return None
        claimed = claim(sessions, job_id, number)
        if claimed is not None:
            return claimed


def take_offers(sessions: sessionmaker[Session], job_id: str, *, workers: int) -> list[int]:
    """Choose shards to be put on the queue: as many as keep so many workers busy, the job's own
    among them. The others stay, so that a job that comes later need not wait for all of them.

    Returns:
        Their numbers. They count as offered from now on.
    """
    with sessions() as session:
        goes_on = session.scalar(select(Job.status.in_(OPEN)).where(Job.id == job_id))
        rows = session.execute(
            select(Shard.number, Shard.status, Shard.offered_at)
            .where(
                Shard.job_id == job_id,
                Shard.status.in_((ShardStatus.QUEUED, ShardStatus.RUNNING)),
            )
            .order_by(Shard.number)
        ).all()
    waiting = [row for row in rows if row.status is ShardStatus.QUEUED]
    idle = [row.number for row in waiting if row.offered_at is None]
    free = workers - (len(rows) - len(idle))
    if not goes_on or not idle or free <= 0:
        return []
    statement = (
        update(Shard)
        .where(
            Shard.job_id == job_id,
            Shard.number.in_(idle[:free]),
            Shard.status == ShardStatus.QUEUED,
            Shard.offered_at.is_(None),
        )
        .values(offered_at=now())
        .returning(Shard.number)
        .execution_options(synchronize_session=False)
    )
    with sessions.begin() as session:
        return sorted(session.scalars(statement))


def end_early(sessions: sessionmaker[Session], job_id: str) -> None:
    """The job has had its time: shards that are not done end with what they have."""
    statement = update(Shard).where(Shard.job_id == job_id).values(ending=True)
    with sessions.begin() as session:
        session.execute(statement.execution_options(synchronize_session=False))


def read(sessions: sessionmaker[Session], job_id: str) -> Sequence[Shard]:
    """All shards of the job, in their order."""
    with sessions() as session:
        query = select(Shard).where(Shard.job_id == job_id).order_by(Shard.number)
        return session.scalars(query).all()


def forget(session: Session, job_ids: Sequence[str] | None = None) -> None:
    """Delete the shards of those of the jobs that have ended, or of all; the caller commits."""
    ended = select(Job.id).where(Job.status.in_(TERMINAL))
    if job_ids is not None:
        ended = ended.where(Job.id.in_(job_ids))
    session.execute(
        delete(Shard).where(Shard.job_id.in_(ended)).execution_options(synchronize_session=False)
    )
