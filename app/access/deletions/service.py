"""Write the trail of deletions, and look into it.

A row is written in the very transaction that deletes: there is no deletion without its row, and no
row of a deletion that did not happen.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.access.deletions.tables import Deletion
from app.persistence.ids import new_id

RETENTION: Final = "retention"
CLI: Final = "cli"

Kind = Literal["audit", "training", "study", "audio", "corpus", "model", "key"]


@dataclass(frozen=True)
class Order:
    """Whose wish a deletion is.

    Attributes:
        actor: a key's id, `local`, `CLI` or `RETENTION`.
        reason: in a word; of a retention the environment variable that asks for it.
    """

    actor: str
    reason: str = "requested"


def record(
    session: Session, order: Order, kind: Kind, subject: str, *, owner: str, freed: int = 0
) -> None:
    """Add a row to the caller's transaction; nothing is committed here.

    Args:
        kind: of what goes; "audio" are the recordings of an audit that stays.
        subject: its id.
        freed: bytes of its files.
    """
    session.add(
        Deletion(
            id=new_id("deletion"),
            actor=order.actor,
            kind=kind,
            subject=subject,
            owner=owner,
            bytes=freed,
            reason=order.reason,
        )
    )


def expired(session: Session, subject: str, *, owner: str) -> Deletion | None:
    """The row that says that a thing of the owner's was deleted because its time was over."""
    return session.scalar(
        select(Deletion)
        .where(
            Deletion.subject == subject,
            Deletion.owner == owner,
            Deletion.actor == RETENTION,
            Deletion.kind != "audio",
        )
        .limit(1)
    )


def forget(session: Session, before: datetime, *, most: int) -> int:
    """Delete rows older than ``before``, oldest first, and commit; how many there were."""
    old = (
        select(Deletion.id).where(Deletion.created_at < before).order_by(Deletion.created_at)
    ).limit(most)
    gone = session.execute(
        delete(Deletion)
        .where(Deletion.id.in_(old))
        .returning(Deletion.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.commit()
    return len(gone)
