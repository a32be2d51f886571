"""Jobs that are there already and do what a task of a study asks for."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.registry.tables import Model
from app.studies.tables import StudyTask

USABLE: Final = (JobStatus.SUCCEEDED, JobStatus.RUNNING, JobStatus.QUEUED)
"""The better ones first. What is being cancelled comes to nothing."""
Candidate = tuple[JobStatus, str]
"""A job's status, and its id."""
UNIMPORTANT: Final = frozenset({"preset", "save_adversarial"})
"""Fields of a stored audit that do not change what it finds: what a preset stood for is spelt out
beside its name."""


def training(session: Session, task: StudyTask, *, owner: str) -> str | None:
    """A training of another study, or of another cell, with the same identity.

    Trainings that were submitted by hand are found when a study is accepted, see
    `app.studies.existing`: what identifies them is read from their requests.
    """
    query = (
        select(Job.id, Job.status, Job.model)
        .join(StudyTask, StudyTask.job_id == Job.id)
        .where(StudyTask.identity == task.identity, Job.owner == owner, Job.status.in_(USABLE))
    )
    found = [
        (status, id_)
        for id_, status, model in session.execute(query)
        if is_there(session, status, model)
    ]
    return best(found) if found else None


def audit(session: Session, request: dict[str, Any], *, owner: str) -> str | None:
    """An audit of the same model with the same request."""
    query = select(Job.id, Job.status, Job.request).where(
        Job.kind == JobKind.AUDIT,
        Job.model == request["model"],
        Job.owner == owner,
        Job.status.in_(USABLE),
    )
    wanted = _important(request)
    found = [
        (status, id_)
        for id_, status, asked in session.execute(query)
        if _important(asked) == wanted
    ]
    return best(found) if found else None


def is_there(session: Session, status: JobStatus, model: str | None) -> bool:
    """Whether what a training has made, or will make, can be used."""
    return status is not JobStatus.SUCCEEDED or (
        model is not None and session.get(Model, model) is not None
    )


def kept(session: Session, job_ids: Iterable[str]) -> set[str]:
    """Those of the jobs that have not been deleted; these stay until the transaction ends.

    SQLite has no locks of rows and needs none, if the caller has written.
    """
    rows = select(Job.id).where(Job.id.in_(list(job_ids)))
    return set(session.scalars(rows.with_for_update(read=True, key_share=True)))


def _important(request: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name not in UNIMPORTANT}


def best(candidates: Sequence[Candidate]) -> str:
    """The one that is furthest; of several, the oldest."""
    return min(candidates, key=lambda one: (USABLE.index(one[0]), one[1]))[1]
