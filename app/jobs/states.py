"""The kinds of job and the states of a job's life.

    queued ──claim──> running ──succeed / fail──> succeeded / failed
      │  ^              │  │
      │  └───release────┘  └──cancel──> cancelling ──> cancelled
      └──────────cancel───────────────────────────────────^

A terminal status never changes.
"""

from enum import StrEnum


class JobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({JobStatus.CANCELLED, JobStatus.SUCCEEDED, JobStatus.FAILED})

UNFINISHED = frozenset(JobStatus) - TERMINAL


class JobKind(StrEnum):
    """What the job does. The value stands in the table and as the resource's `object`."""

    AUDIT = "audit"
    TRAINING = "training"

    @property
    def collection(self) -> str:
        """The word in paths, and the name of the queue."""
        return f"{self.value}s"


class ShardStatus(StrEnum):
    """Of a part of a running job, see `app.jobs.shards`."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
