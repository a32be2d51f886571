"""The tasks of a study: each is one training or one audit, of the study's own or another's."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.jobs.tables import word
from app.persistence.database import Base


class TaskKind(StrEnum):
    TRAINING = "training"
    AUDIT = "audit"
    TRANSFER = "transfer"
    """An audit of one model under attacks that are carried out on others."""


class TaskStatus(StrEnum):
    WAITING = "waiting"
    ACTIVE = "active"
    """It has a job, which has not been seen to have ended."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (TaskStatus.WAITING, TaskStatus.ACTIVE)


class StudyTask(Base):
    """What a study has to have done. Rows of one study are written under the lock of its job."""

    __tablename__ = "study_tasks"
    __table_args__ = (
        UniqueConstraint("study_id", "name"),
        Index("ix_study_tasks_job_id", "job_id"),
        Index("ix_study_tasks_identity", "identity"),
    )

    study_id: Mapped[str] = mapped_column(
        ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 0, in the order in which they are begun."""
    kind: Mapped[TaskKind] = mapped_column(word(TaskKind))
    name: Mapped[str] = mapped_column(String(300))
    """Of a training, that of its cell."""
    cell: Mapped[str] = mapped_column(String(200))
    """The cell of the grid whose model is trained or audited."""
    partition: Mapped[str | None] = mapped_column(String(8))
    """Of an audit: whose clips."""
    needs: Mapped[list[str]] = mapped_column(default=list)
    """Cells whose models it works on: their trainings must be done before."""
    work: Mapped[dict[str, Any]]
    """The request of its job, with `model_of(cell)` where the model of a cell will stand."""
    warnings: Mapped[list[str]] = mapped_column(default=list)
    """What will stand beside its job."""
    identity: Mapped[str | None] = mapped_column(String(64))
    """Of a training: what determines its weights, the data among it."""

    status: Mapped[TaskStatus] = mapped_column(word(TaskStatus), default=TaskStatus.WAITING)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    reused: Mapped[bool] = mapped_column(default=False)
    """Whether the job was there before, or was begun for somebody else."""
    round: Mapped[int] = mapped_column(default=0)
    """How many times a job of its own was begun."""
    model: Mapped[str | None] = mapped_column(String(100))
    """What a training has made."""
    seconds: Mapped[float | None]
    """From its job's start to its end; None if that was interrupted in between."""
    error: Mapped[dict[str, Any] | None]
    """Why it failed, as a job's."""


def model_of(cell: str) -> str:
    """What stands in a task's request in the place of a cell's model: it has a space, so it is no
    model's id."""
    return f"model of {cell}"
