"""Jobs, their shards and their events: the database is the truth, Redis only carries ids."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Enum, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.jobs.states import JobKind, JobStatus, ShardStatus
from app.persistence.database import Base, now
from app.persistence.kept import Kept


def word(enum: type[StrEnum]) -> Enum:
    """A column of the enum's values as text: a new value needs no migration."""
    return Enum(
        enum,
        native_enum=False,
        create_constraint=False,
        length=16,
        values_callable=lambda members: [member.value for member in members],
    )


def _some(name: str, column: str, *, where: str) -> Index:
    """An index of the rows that meet a condition alone."""
    return Index(name, column, sqlite_where=text(where), postgresql_where=text(where))


class Job(Kept, Base):
    """One audit, training or study, from its acceptance to its end."""

    __tablename__ = "jobs"
    __table_args__ = (
        # The fence of racing submissions. Rows without a key do not collide: NULLs are distinct.
        UniqueConstraint("owner", "kind", "idempotency_key"),
        Index("ix_jobs_owner_created", "owner", "created_at", "id"),
        Index("ix_jobs_owner_bytes", "owner", "bytes"),
        Index("ix_jobs_owner_status", "owner", "status"),
        Index("ix_jobs_status_finished", "status", "finished_at"),
        # What the reconciler asks for every minute, of rows of which nearly all are done with.
        _some("ix_jobs_audio", "finished_at", where="audio_bytes > 0"),
        _some("ix_jobs_unmeasured", "id", where="bytes IS NULL"),
        Index("ix_jobs_parent_id", "parent_id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[JobKind] = mapped_column(word(JobKind))
    owner: Mapped[str] = mapped_column(String(40))
    status: Mapped[JobStatus] = mapped_column(word(JobStatus), default=JobStatus.QUEUED)
    model: Mapped[str | None] = mapped_column(String(100))
    """Audits: the audited model. Trainings: the trained one, once there is one, or the one that a
    detector is for."""

    request: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    """Why it failed: {code, message, …}."""
    warnings: Mapped[list[str]] = mapped_column(default=list)
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)

    attempt: Mapped[int] = mapped_column(default=0)
    """How many times it was started. Only the attempt with this number may write."""
    deaths: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many of its attempts ended without a word. One that was put down is no death."""
    progress_done: Mapped[float] = mapped_column(default=0)
    progress_total: Mapped[float | None]
    progress_unit: Mapped[str | None] = mapped_column(String(32))
    progress_eta: Mapped[float | None]
    """Seconds left, as the running attempt last guessed."""
    heartbeat_at: Mapped[datetime | None]

    created_at: Mapped[datetime] = mapped_column(default=now)
    enqueued_at: Mapped[datetime | None]
    """When the submission was through. Until then it may still be taken back."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    audio_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Of `bytes`, those of recordings: what was uploaded, and clips as they were attacked."""
    audio_expired_at: Mapped[datetime | None]
    """Since when nobody is given the recordings. While `audio_bytes` is not 0 they are being
    removed."""

    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of the request, to know a replay from another request under the same key."""
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    """The job that caused this one."""
    version: Mapped[int] = mapped_column(default=1)
    """Raised by every write: the ETag, and the number of the event that tells of the write."""


class JobEvent(Base):
    """Something that happened to a job. `seq` is the job's version at that write."""

    __tablename__ = "job_events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(String(32))
    data: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Shard(Base):
    """A part of a running job that any worker of its kind may do; gone some time after the
    job has ended, in ten minutes at most."""

    __tablename__ = "shards"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 0. What the shards have made is joined in this order."""
    status: Mapped[ShardStatus] = mapped_column(word(ShardStatus), default=ShardStatus.QUEUED)
    work: Mapped[dict[str, Any]]
    """Which part it is, in the terms of the job's kind."""
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    """Why it failed, as a job's."""
    attempt: Mapped[int] = mapped_column(default=0)
    """How many times it was started. Only the attempt with this number may write."""
    deaths: Mapped[int] = mapped_column(default=0)
    """As a job's."""
    ending: Mapped[bool] = mapped_column(default=False)
    """Whether its attempt is to end with what it has: the job has had its time."""
    progress_done: Mapped[float] = mapped_column(default=0)
    heartbeat_at: Mapped[datetime | None]
    offered_at: Mapped[datetime | None]
    """When its id was put on the queue. The job's own attempt also takes shards that never were."""
