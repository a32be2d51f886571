"""Deleting a job that has ended: its row, its events and its files.

What it made stays: a model of the registry, which then names no training. The jobs that were linked
to it are linked to each other, as if it had been taken out from between them: those that it caused
count as caused by what had caused it, and no result names it any more.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import delete as delete_from
from sqlalchemy import exists, select
from sqlalchemy.orm import Session, aliased

from app.access.deletions import service as deletions
from app.access.deletions.service import Kind, Order
from app.errors import Conflict
from app.jobs import service
from app.jobs.schemas import path_of
from app.jobs.states import TERMINAL, JobKind
from app.jobs.tables import Job
from app.jobs.transitions import move
from app.persistence import orphans
from app.persistence.kept import freed_bytes
from app.persistence.storage import Storage

Caused = aliased(Job)
TRAIL: Final[dict[JobKind, Kind]] = {
    JobKind.AUDIT: "audit",
    JobKind.TRAINING: "training",
    JobKind.STUDY: "study",
}
"""What the trail of deletions calls them."""


def delete(
    session: Session,
    storage: Storage,
    job_id: str,
    *,
    owner: str,
    kind: JobKind | None = None,
    order: Order | None = None,
) -> int:
    """Delete the job.

    Args:
        order: whose wish it is, for the trail; the owner's if None.

    Returns:
        The bytes of its files.

    Raises:
        NotFound: as `service.get`.
        Conflict: it has not ended, or a job that it caused has not.
    """
    job = service.get(session, job_id, owner=owner, kind=kind)
    effects = [link.id for link in service.caused(session, [job_id]).get(job_id, ())]
    _lock(session, [job_id, *effects, *(one.id for one in _ancestors(session, job.parent_id))])
    # One statement: nothing can happen between the look at the job and its deletion.
    unfinished = exists().where(Caused.parent_id == Job.id, Caused.status.not_in(TERMINAL))
    deleted = session.execute(
        delete_from(Job)
        .where(Job.id == job_id, Job.status.in_(TERMINAL), ~unfinished)
        .returning(Job.parent_id, Job.kind, Job.bytes)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if deleted is None:
        session.rollback()
        raise _conflict(session, service.get(session, job_id, owner=owner, kind=kind))
    _link_without(session, job_id, deleted.parent_id, effects)
    folder = storage.job_dir(job_id)
    freed = freed_bytes(deleted.bytes, folder)
    by = order or Order(owner)
    deletions.record(session, by, TRAIL[deleted.kind], job_id, owner=owner, freed=freed)
    orphans.mark(folder)
    session.commit()
    storage.remove(folder)
    return freed


def _lock(session: Session, family: Sequence[str]) -> None:
    """Lock the rows that will be written, in one order: of two deletions in a family one waits.

    SQLite has no locks of rows; there the deletion itself, the first write, locks everything.
    """
    session.execute(
        select(Job.id).where(Job.id.in_(family)).order_by(Job.id).with_for_update()
    ).all()


def _link_without(
    session: Session, job_id: str, parent_id: str | None, effects: Sequence[str]
) -> None:
    data = {"deleted": job_id}
    for effect in effects:
        move(session, effect, event="unlinked", data=data, parent_id=parent_id)
    for cause in _ancestors(session, parent_id):
        values = {} if cause.result is None else {"result": _without(cause.result, job_id)}
        move(session, cause.id, event="unlinked", data=data, **values)


def _ancestors(session: Session, parent_id: str | None) -> Iterator[Job]:
    """What caused it, what had caused that, and so on, as they are now."""
    while parent_id is not None:
        parent = session.get(Job, parent_id, populate_existing=True)
        if parent is None:  # deleted just now, before it was locked
            return
        yield parent
        parent_id = parent.parent_id


def _without(result: dict[str, Any], job_id: str) -> dict[str, Any]:
    """The result, in which `hardening` names the job no more."""
    if "hardening" not in result:
        return result
    named = result["hardening"].items()
    return result | {"hardening": {k: None if v == job_id else v for k, v in named}}


def _conflict(session: Session, job: Job) -> Conflict:
    if not job.status.terminal:
        return Conflict(
            f"{job.id} is {job.status}. Cancel it first (POST {path_of(job.id, job.kind)}/cancel),"
            " and delete it when it has ended.",
            code="job_not_ended",
        )
    effect = session.scalar(
        select(Job.id).where(Job.parent_id == job.id, Job.status.not_in(TERMINAL)).limit(1)
    )
    return Conflict(
        f"{job.id} caused {effect or 'a job'}, which has not ended and needs it. Wait for that one,"
        " or cancel it.",
        code="job_in_use",
    )
