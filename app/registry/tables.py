"""Models that were uploaded or trained here. The starters are files and have no rows."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.persistence.database import Base, now
from app.persistence.kept import Kept


class Model(Kept, Base):
    """One model; its weights, its config and its detector lie in `storage.model_dir(id)`."""

    __tablename__ = "models"
    __table_args__ = (
        Index("ix_models_owner_created", "owner", "created_at", "id"),
        Index("ix_models_owner_bytes", "owner", "bytes"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(100))
    architecture: Mapped[str] = mapped_column(String(32))
    labels: Mapped[list[str]]
    config: Mapped[dict[str, Any]]
    sha256: Mapped[str] = mapped_column(String(64))
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    detector: Mapped[dict[str, Any] | None]
    """That is attached to it, see `app.registry.detectors`."""
    training_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(default=now)
