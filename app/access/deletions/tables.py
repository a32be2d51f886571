"""Deletions. A row says that something went and how large it was; nothing of what was in it."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.persistence.database import Base, now


class Deletion(Base):
    """One thing that was deleted, or one key that was revoked."""

    __tablename__ = "deletions"
    __table_args__ = (
        Index("ix_deletions_created", "created_at", "id"),
        Index("ix_deletions_subject", "subject"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
    actor: Mapped[str] = mapped_column(String(40))
    """Who asked: a key's id, `local`, `cli`, or `retention`."""
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(40))
    """The id of what is gone."""
    owner: Mapped[str] = mapped_column(String(40))
    bytes: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(String(64))
    """`requested`, `erasure`, `purge`, `revoked`, or the setting whose time was over."""
