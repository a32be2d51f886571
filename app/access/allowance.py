"""How much one key may have: bytes that it keeps, and jobs that have not ended.

Both are counted in the database, so they hold over all replicas of the API. The check stands in the
transaction that adds: of two that come at once, the second waits until the first is committed, and
counts it. On SQLite whoever has written is alone; on PostgreSQL the key's own row is locked.
"""

from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.access.keys.tables import ApiKey
from app.access.owners import LOCAL
from app.errors import TooMany
from app.persistence.kept import kept_bytes
from app.settings import Settings

RETRY_AFTER_SECONDS: Final = 60
"""Room comes from a deletion, which is the client's to make."""


@dataclass(frozen=True)
class Allowance:
    """The most of each that a key may have; 0 is no limit.

    Attributes:
        bytes: of the files of its corpora, models and jobs.
        jobs: queued and running.
    """

    bytes: int
    jobs: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """That of the service, for keys that have none of their own."""
        return cls(settings.max_key_bytes, settings.max_key_jobs)


UNLIMITED: Final = Allowance(0, 0)


def lock(session: Session, owner: str, most: Allowance) -> Allowance:
    """What ``owner`` may have, its own limits first. Where there is one, its other submissions wait
    until the caller's transaction ends. On an open loopback nobody is to be kept from anything.
    """
    if owner == LOCAL:
        return UNLIMITED
    columns = select(ApiKey.max_bytes, ApiKey.max_jobs).where(ApiKey.id == owner)
    own = session.execute(columns).one_or_none()
    if own is not None:
        most = Allowance(
            most.bytes if own.max_bytes is None else own.max_bytes,
            most.jobs if own.max_jobs is None else own.max_jobs,
        )
    if most != UNLIMITED:
        session.execute(columns.with_for_update()).all()
    return most


def check_bytes(session: Session, owner: str, most: Allowance, adding: int = 0) -> None:
    """Refuse to let ``owner`` keep more than it may.

    Args:
        adding: bytes that this transaction adds, in rows that were flushed. With 0, what is to come
            is not known yet: there must be room for something.

    Raises:
        TooMany: there is no room; it says how much is left.
    """
    allowed = lock(session, owner, most).bytes
    if not allowed:
        return
    left = allowed - (kept_bytes(session, owner) - adding)
    if left < max(adding, 1):
        asked = f"This takes {adding} bytes" if adding else "This needs room for files"
        raise TooMany(
            f"{asked}, and of the {allowed} bytes that this key may keep (SERVAL_MAX_KEY_BYTES, or"
            f" its own max_bytes) {max(left, 0)} are left. Delete corpora, models or jobs that are"
            " not needed any more, and send this one again.",
            code="bytes_quota",
            retry_after=RETRY_AFTER_SECONDS,
        )


def check_jobs(session: Session, owner: str, most: Allowance, unfinished: Select[int]) -> None:
    """Refuse to let ``owner`` have more unfinished jobs than it may.

    Args:
        unfinished: counts those of the owner, the flushed one of this transaction among them.

    Raises:
        TooMany: it has as many as it may.
    """
    allowed = lock(session, owner, most).jobs
    if not allowed:
        return
    others = (session.scalar(unfinished) or 0) - 1
    if others >= allowed:
        raise TooMany(
            f"This key has {others} queued and running jobs, of {allowed} that it may have"
            " (SERVAL_MAX_KEY_JOBS, or its own max_jobs): 0 are left. Wait for one of them, or"
            " cancel it, and send this one again.",
            code="jobs_quota",
            retry_after=RETRY_AFTER_SECONDS,
        )
