"""Corpora: labelled speech with a speaker-independent partition."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.persistence.database import Base, now
from app.persistence.kept import Kept


class Corpus(Kept, Base):
    """One uploaded corpus; its clips and manifest lie in `storage.corpus_dir(id)`."""

    __tablename__ = "corpora"
    __table_args__ = (
        Index("ix_corpora_owner_created", "owner", "created_at", "id"),
        Index("ix_corpora_owner_bytes", "owner", "bytes"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(100))
    format: Mapped[str] = mapped_column(String(32))
    clips: Mapped[int]
    classes: Mapped[dict[str, Any]]
    """{label: number of clips}"""
    speakers: Mapped[int]
    partitions: Mapped[dict[str, Any]]
    """{partition: {clips, speakers, classes}}"""
    skipped: Mapped[list[Any]] = mapped_column(default=list)
    """[{path, reason, code}], the first of them"""
    skipped_counts: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """{code: number of files}"""
    created_at: Mapped[datetime] = mapped_column(default=now)
