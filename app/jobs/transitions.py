"""A transition: one conditional UPDATE of a job's row, and the event that tells of it.

Whoever writes to a job does it here. The condition stands in the UPDATE itself, so of two writers
that race exactly one finds the row as it expected; the other gets None. The row stays locked until
the commit, so the events of a job become visible in the order of their numbers.
"""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from app.jobs.states import JobStatus
from app.jobs.tables import Job, JobEvent


class Moved(NamedTuple):
    """What the row holds after the transition."""

    version: int
    status: JobStatus
    attempt: int


def move(
    session: Session,
    job_id: str,
    *conditions: ColumnElement[bool],
    event: str | None = None,
    data: dict[str, Any] | None = None,
    **values: Any,
) -> Moved | None:
    """Write ``values`` if the row meets ``conditions``; the caller commits.

    Returns:
        What the row holds now, or None if there is no such row or it does not meet them.
    """
    statement = (
        update(Job)
        .where(Job.id == job_id, *conditions)
        .values(version=Job.version + 1, **values)
        .returning(Job.version, Job.status, Job.attempt)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        return None
    moved = Moved(row.version, JobStatus(row.status), row.attempt)
    if event is not None:
        session.add(JobEvent(job_id=job_id, seq=moved.version, type=event, data=data or {}))
        session.flush()
    return moved
