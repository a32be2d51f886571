"""Jobs that are there already and do what a task of a study asks for."""

from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.registry.tables import Model
from app.studies.tables import StudyTask

USABLE: Final = (JobStatus.SUCCEEDED, JobStatus.RUNNING, JobStatus.QUEUED)
"""The better ones first. What is being cancelled comes to nothing."""
UNIMPORTANT: Final = frozenset({"preset", "save_adversarial"})
"""Fields of a stored audit that do not change what it finds: what a preset stood for is spelt out
beside its name."""


def training(session: Session, task: StudyTask, *, owner: str) -> str | None:
    """A training of another study, or of another cell, with the same identity.

    Trainings that were submitted by hand are found when a study is accepted, see
    `app.studies.planning`: what identifies them is read from their requests.
    """
    query = (
        select(Job.id, Job.status, Job.model)
        .join(StudyTask, StudyTask.job_id == Job.id)
        .where(StudyTask.identity == task.identity, Job.owner == owner, Job.status.in_(USABLE))
    )
    found = [
        (status, id_)
        for id_, status, model in session.execute(query)
        if _is_there(session, status, model)
    ]
    return _best(found)


def audit(session: Session, request: dict[str, Any], *, owner: str) -> str | None:
    """An audit of the same model with the same request."""
    query = select(Job.id, Job.status, Job.request).where(
        Job.kind == JobKind.AUDIT,
        Job.model == request["model"],
        Job.owner == owner,
        Job.status.in_(USABLE),
    )
    wanted = _important(request)
    rows = session.execute(query)
    return _best([(status, id_) for id_, status, asked in rows if _important(asked) == wanted])


def _is_there(session: Session, status: JobStatus, model: str | None) -> bool:
    """Whether what a training has made, or will make, can be used."""
    return status is not JobStatus.SUCCEEDED or (
        model is not None and session.get(Model, model) is not None
    )


def _important(request: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name not in UNIMPORTANT}


def _best(found: list[tuple[JobStatus, str]]) -> str | None:
    """The one that is furthest; of several, the oldest."""
    ranked = sorted((USABLE.index(JobStatus(status)), id_) for status, id_ in found)
    return ranked[0][1] if ranked else None
