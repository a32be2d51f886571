"""The worker's side of a job: take it, tell how it goes, end it.

An `Attempt` may write only while the row holds its number. When a job was given to another attempt
meanwhile (this one was thought dead), every method raises `Superseded`: stop, publish nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job, JobEvent
from app.jobs.transitions import Moved, move
from app.persistence.database import now

ALIVE = (JobStatus.RUNNING, JobStatus.CANCELLING)


class Superseded(Exception):
    """The job belongs to another attempt, or has ended. Stop, and publish nothing."""


class CancelRequested(Exception):
    """The job was cancelled before it could end otherwise. Stop, and call `cancelled()`."""


@dataclass
class Attempt:
    """One run of a job. Made by `claim`; every method is one short transaction."""

    sessions: sessionmaker[Session]
    job_id: str
    number: int
    kind: JobKind
    owner: str
    request: dict[str, Any]
    _began: tuple[str | None, float, float] | None = field(default=None, repr=False)

    def status(self) -> JobStatus:
        """The row's status now: `cancelling` asks this attempt to stop.

        Raises:
            Superseded: the row is another attempt's, or gone.
        """
        with self.sessions() as session:
            row = session.execute(
                select(Job.status, Job.attempt).where(Job.id == self.job_id)
            ).one_or_none()
        if row is None or row.attempt != self.number:
            raise Superseded(self._lost("read its status"))
        return JobStatus(row.status)

    def heartbeat(self) -> None:
        """Say that this attempt is alive. Not a change that a client sees: the version stays.

        Raises:
            Superseded: the row is another attempt's.
        """
        statement = (
            update(Job)
            .where(Job.id == self.job_id, *self._mine(ALIVE))
            .values(heartbeat_at=now())
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        )
        with self.sessions.begin() as session:
            beaten = session.execute(statement).one_or_none()
        if beaten is None:
            raise Superseded(self._lost("beat"))

    def progress(
        self,
        done: float,
        total: float | None = None,
        unit: str | None = None,
        *,
        eta_seconds: float | None = None,
    ) -> None:
        """Tell how far it is; without ``eta_seconds`` it is guessed from this attempt's pace.

        Raises:
            Superseded: the row is another attempt's.
        """
        guess = self._eta(done, total, unit) if eta_seconds is None else eta_seconds
        self._write(
            "tell its progress",
            ALIVE,
            progress_done=done,
            progress_total=total,
            progress_unit=unit,
            progress_eta=guess,
            heartbeat_at=now(),
        )

    def event(self, type_: str, data: dict[str, Any] | None = None) -> None:
        """Append an event that clients can follow, such as the losses of a step.

        Raises:
            Superseded: the row is another attempt's.
        """
        self._write("tell an event", ALIVE, event=type_, data=data)

    def warn(self, text: str) -> None:
        """Add a warning to the job, once.

        Raises:
            Superseded: the row is another attempt's.
        """
        with self.sessions.begin() as session:
            # Only this attempt adds warnings, and it does so from one thread at a time.
            warnings = session.execute(
                select(Job.warnings).where(Job.id == self.job_id, *self._mine(ALIVE))
            ).scalar_one_or_none()
            if warnings is None:
                raise Superseded(self._lost("warn"))
            if text not in warnings:
                self._move(
                    session,
                    "warn",
                    ALIVE,
                    event="warning",
                    data={"message": text},
                    warnings=[*warnings, text],
                )

    def warnings(self) -> list[str]:
        """What the job's owner has been told so far; nothing if the job was deleted."""
        with self.sessions() as session:
            found = session.scalar(select(Job.warnings).where(Job.id == self.job_id))
        return list(found or ())

    def events(self, type_: str) -> list[dict[str, Any]]:
        """Data of the events of one type that this and earlier attempts told, in their order."""
        query = select(JobEvent.data).where(JobEvent.job_id == self.job_id, JobEvent.type == type_)
        with self.sessions() as session:
            return list(session.scalars(query.order_by(JobEvent.seq)))

    def succeed(
        self,
        result: dict[str, Any],
        *,
        publish: Callable[[Session], dict[str, Any]] | None = None,
        kept: tuple[int, int] | None = None,
    ) -> None:
        """Publish the result.

        ``kept`` are the bytes of the job's files, and of the recordings among them. Without it the
        reconciler measures them.

        ``publish`` runs in the same transaction, before the row is written: what it writes is there
        if and only if the job succeeded. What it answers joins the result; a ``model`` in it is the
        one that a training made.

        Raises:
            CancelRequested: a cancel came first; the result is not published.
            Superseded: the row is another attempt's.
        """
        size, audio = (None, 0) if kept is None else kept
        self._end(
            JobStatus.SUCCEEDED, publish=publish, result=result, bytes=size, audio_bytes=audio
        )

    def fail(self, error: dict[str, Any]) -> None:
        """End the job with ``error``: {code, message, …}.

        Raises:
            CancelRequested: a cancel came first.
            Superseded: the row is another attempt's.
        """
        self._end(JobStatus.FAILED, data=error, error=error)

    def cancelled(self) -> None:
        """Confirm a cancel: cancelling → cancelled.

        Raises:
            Superseded: nobody asked for it, or another attempt has the row.
        """
        self._write(
            "confirm a cancel",
            (JobStatus.CANCELLING,),
            event=JobStatus.CANCELLED,
            status=JobStatus.CANCELLED,
            finished_at=now(),
            progress_eta=None,
        )

    def release(
        self,
        reason: str,
        *,
        max_deaths: int | None = None,
        stale_before: datetime | None = None,
    ) -> JobStatus:
        """Give the job back: running → queued, so that another attempt goes on with it.

        Also for the reconciler, which speaks for an attempt that fell silent: with ``stale_before``
        nothing happens if a heartbeat came meanwhile. With ``max_deaths`` this attempt counts as
        one that died, and after so many the job fails. A job that was being cancelled is cancelled
        instead.

        Returns:
            The new status.

        Raises:
            Superseded: the row is another attempt's, has ended, or has a fresh heartbeat.
        """
        stale = () if stale_before is None else (Job.heartbeat_at < stale_before,)
        data = {"reason": reason}
        with self.sessions.begin() as session:
            moved = (
                self._give_up(session, reason, max_deaths, stale)
                or self._leave(
                    session,
                    JobStatus.RUNNING,
                    JobStatus.QUEUED,
                    *stale,
                    data=data,
                    deaths=Job.deaths + (0 if max_deaths is None else 1),
                    heartbeat_at=None,
                )
                or self._leave(
                    session,
                    JobStatus.CANCELLING,
                    JobStatus.CANCELLED,
                    *stale,
                    data=data,
                    finished_at=now(),
                )
            )
        if moved is None:
            raise Superseded(self._lost("be released"))
        return moved.status

    def _give_up(
        self,
        session: Session,
        reason: str,
        max_deaths: int | None,
        stale: Sequence[ColumnElement[bool]],
    ) -> Moved | None:
        if max_deaths is None:
            return None
        error = {
            "code": "too_many_attempts",
            "message": f"The job was started {self.number} times and ended the process that did it"
            f" {max_deaths} times; last: {reason}.",
        }
        return self._leave(
            session,
            JobStatus.RUNNING,
            JobStatus.FAILED,
            *stale,
            Job.deaths + 1 >= max_deaths,
            data=error,
            error=error,
            finished_at=now(),
        )

    def _leave(
        self,
        session: Session,
        before: JobStatus,
        after: JobStatus,
        *conditions: ColumnElement[bool],
        **values: Any,
    ) -> Moved | None:
        """The row from one status to another, if it is still this attempt's and in the first."""
        return move(
            session,
            self.job_id,
            *self._mine((before,)),
            *conditions,
            event=after,
            status=after,
            progress_eta=None,
            **values,
        )

    def _end(
        self,
        status: JobStatus,
        *,
        data: dict[str, Any] | None = None,
        publish: Callable[[Session], dict[str, Any]] | None = None,
        **values: Any,
    ) -> None:
        try:
            with self.sessions.begin() as session:
                if publish is not None:
                    published = publish(session)
                    values["result"] |= published
                    if "model" in published:
                        values["model"] = published["model"]
                self._move(
                    session,
                    f"become {status}",
                    (JobStatus.RUNNING,),
                    event=status,
                    data=data,
                    status=status,
                    finished_at=now(),
                    progress_eta=None,
                    **values,
                )
        except Superseded:
            if self.status() is JobStatus.CANCELLING:
                raise CancelRequested(f"{self.job_id} was cancelled before it {status}") from None
            raise

    def _write(self, what: str, statuses: Sequence[JobStatus], **values: Any) -> Moved:
        with self.sessions.begin() as session:
            return self._move(session, what, statuses, **values)

    def _move(
        self, session: Session, what: str, statuses: Sequence[JobStatus], **values: Any
    ) -> Moved:
        moved = move(session, self.job_id, *self._mine(statuses), **values)
        if moved is None:
            raise Superseded(self._lost(what))
        return moved

    def _mine(self, statuses: Sequence[JobStatus]) -> tuple[ColumnElement[bool], ...]:
        """The fence: the row holds this attempt's number and has not ended."""
        return (Job.attempt == self.number, Job.status.in_(statuses))

    def _lost(self, what: str) -> str:
        return f"attempt {self.number} of {self.job_id} may not {what}: it is not the current one"

    def _eta(self, done: float, total: float | None, unit: str | None) -> float | None:
        clock = time.monotonic()
        if self._began is None or self._began[0] != unit or done < self._began[1]:
            self._began = (unit, done, clock)
        _, began, since = self._began
        if total is None or done <= began:
            return None
        return max(0.0, (total - done) * (clock - since) / (done - began))


def claim(sessions: sessionmaker[Session], job_id: str) -> Attempt | None:
    """Start the next attempt of a queued job: queued → running, in one conditional UPDATE.

    Returns:
        The attempt, or None if the job is not queued: cancelled, ended, gone, or running elsewhere.
    """
    moment = now()
    with sessions.begin() as session:
        moved = move(
            session,
            job_id,
            Job.status == JobStatus.QUEUED,
            status=JobStatus.RUNNING,
            attempt=Job.attempt + 1,
            started_at=func.coalesce(Job.started_at, moment),
            heartbeat_at=moment,
        )
        if moved is None:
            return None
        data = {"attempt": moved.attempt}
        session.add(JobEvent(job_id=job_id, seq=moved.version, type="running", data=data))
        job = session.get_one(Job, job_id)
    return Attempt(
        sessions=sessions,
        job_id=job_id,
        number=moved.attempt,
        kind=job.kind,
        owner=job.owner,
        request=job.request,
    )
