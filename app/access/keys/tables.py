"""API keys. Of the secret only its SHA-256 is kept."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.persistence.database import Base, now


class ApiKey(Base):
    """One key. A revoked one keeps its row: it owns jobs, corpora and models."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[list[str]]
    sha256: Mapped[str] = mapped_column(String(64))
    """Of the secret: 256 random bits, which need no salt and no slow hash."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    revoked_at: Mapped[datetime | None]
    max_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """The most that it may keep; 0 is no limit, NULL is the service's."""
    max_jobs: Mapped[int | None]
    """The most unfinished jobs that it may have; 0 and NULL as above."""
