"""What a key owns, and how another key takes it over.

While no key was ever made, whatever is made belongs to `LOCAL`, which nobody is any more once there
is one; and what a revoked key owns nobody sees. Both wait to be adopted.
"""

from typing import NamedTuple

from sqlalchemy import Update, exists, func, select, update
from sqlalchemy.orm import Session, aliased

from app.access.keys import service
from app.access.owners import LOCAL
from app.corpora.tables import Corpus
from app.errors import Conflict, Invalid
from app.jobs.attempts import ALIVE
from app.jobs.tables import Job
from app.registry.tables import Model

Named = aliased(Job)


class Owned(NamedTuple):
    """How much somebody owns."""

    jobs: int
    corpora: int
    models: int

    def __str__(self) -> str:
        words = (
            (self.jobs, "job", "jobs"),
            (self.corpora, "corpus", "corpora"),
            (self.models, "model", "models"),
        )
        counts = [f"{n} {one if n == 1 else many}" for n, one, many in words if n]
        return ", ".join(counts) or "nothing"


def owned_by(session: Session, owner: str) -> Owned:
    """What ``owner`` owns, a key's id or `LOCAL`."""
    tables: tuple[type[Job | Corpus | Model], ...] = (Job, Corpus, Model)
    counts = (select(func.count()).where(table.owner == owner) for table in tables)
    return Owned(*(session.scalar(count) or 0 for count in counts))


def transfer_ownership(session: Session, *, of: str, by: str) -> Owned:
    """Give all that ``of`` owns, `LOCAL` or a key, to the key ``by``.

    In the caller's transaction: nothing is committed here.

    Returns:
        What that was.

    Raises:
        NotFound: there is no such key.
        Invalid: ``by`` is revoked, or both are the same.
        Conflict: a job of it is under way, whose worker knows it by its owner.
    """
    if of != LOCAL:
        service.get(session, of)
    if service.get(session, by).revoked_at is not None:
        raise Invalid(f"{by} is revoked: what it owned, nobody would see.", code="key_revoked")
    if of == by:
        raise Invalid(f"{by} cannot adopt from itself.", code="same_key")
    _forget_ambiguous(session, of, by)
    jobs = session.execute(_given(Job, of, by).returning(Job.id, Job.status)).all()
    busy = [job.id for job in jobs if job.status in ALIVE]
    if busy:
        raise Conflict(
            f"{busy[0]} of {of} is under way. Wait for it, or cancel it, and adopt then.",
            code="job_not_ended",
        )
    corpora = session.scalars(_given(Corpus, of, by).returning(Corpus.id)).all()
    models = session.scalars(_given(Model, of, by).returning(Model.id)).all()
    return Owned(len(jobs), len(corpora), len(models))


def _given(table: type[Job | Corpus | Model], of: str, by: str) -> Update:
    statement = update(table).where(table.owner == of).values(owner=by)
    return statement.execution_options(synchronize_session=False)


def _forget_ambiguous(session: Session, of: str, by: str) -> None:
    """Of two jobs under one Idempotency-Key, the adopter's own stays the one that it names."""
    named = exists().where(
        Named.owner == by, Named.kind == Job.kind, Named.idempotency_key == Job.idempotency_key
    )
    session.execute(
        update(Job)
        .where(Job.owner == of, named)
        .values(idempotency_key=None)
        .execution_options(synchronize_session=False)
    )
