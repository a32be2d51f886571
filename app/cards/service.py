"""Finds the audit that a card is written from."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audits import service as audits
from app.cards.card import card
from app.errors import Conflict, Invalid
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.storage import Storage
from app.registry import service as registry


def write(
    session: Session, storage: Storage, model_id: str, audit_id: str | None, *, owner: str
) -> str:
    """The card of a model.

    Args:
        audit_id: the audit that its figures are of; None for the latest that has succeeded.

    Raises:
        NotFound: there is no such model or audit, or its files are gone.
        Conflict: no audit of the model has succeeded, or the model's weights are others by now.
        Invalid: the audit is of another model.
    """
    entry = registry.get(session, storage, model_id, owner=owner)
    chosen = audit_id or _latest(session, entry.id, owner)
    job, folder = audits.findings(session, storage, chosen, owner=owner)
    if job.model != entry.id:
        raise Invalid.of(
            "audit", chosen, f"it is an audit of {job.model}", f"give an audit of {entry.id}"
        )
    report = audits.report(folder, job)
    if report.model.sha256 != entry.sha256:
        raise Conflict(
            f"{chosen} is of other weights than {entry.id} has by now. Audit the model again.",
            code="other_weights",
        )
    return card(report, job.warnings)


def _latest(session: Session, model_id: str, owner: str) -> str:
    found = session.scalar(
        select(Job.id)
        .where(
            Job.owner == owner,
            Job.kind == JobKind.AUDIT,
            Job.status == JobStatus.SUCCEEDED,
            Job.model == model_id,
        )
        .order_by(Job.finished_at.desc(), Job.id.desc())
        .limit(1)
    )
    if found is None:
        raise Conflict(
            f"No audit of {model_id} has succeeded, and a card has its figures from one. Audit the"
            " model first: POST /v1/audits.",
            code="no_audit",
        )
    return found
