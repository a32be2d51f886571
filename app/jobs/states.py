"""The kinds of job and the states of a job's life.

    queued ──claim──> running ──succeed / fail──> succeeded / failed
      │  ^              │  │
      │  └───release────┘  └──cancel──> cancelling ──> cancelled
      └──────────cancel───────────────────────────────────^

A terminal status never changes, but for a study's: its owner may have what failed tried again, and
may add to it. A study is queued for no worker; it is running from its acceptance on.
"""

from enum import StrEnum
from typing import Final

from app.persistence.ids import Prefix


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
    STUDY = "study"

    @property
    def collection(self) -> str:
        """The word in paths, and the name of the queue of those that have one."""
        return "studies" if self is JobKind.STUDY else f"{self.value}s"


QUEUED_KINDS: Final = (JobKind.AUDIT, JobKind.TRAINING)
"""Those that workers do, each kind with a queue and workers of its own. A study is done by the
trainings and audits that it causes, see `app.studies.advancing`."""
PREFIXES: Final[dict[JobKind, Prefix]] = {
    JobKind.AUDIT: "audit",
    JobKind.TRAINING: "train",
    JobKind.STUDY: "study",
}
"""Of their ids."""


def kind_of(job_id: str) -> JobKind:
    """What kind of job has this id."""
    prefix = job_id.partition("_")[0]
    return next(kind for kind, known in PREFIXES.items() if known == prefix)


class ShardStatus(StrEnum):
    """Of a part of a running job, see `app.jobs.shards`."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
