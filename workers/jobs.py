"""What does a job of each kind: where the worker, which knows none, meets audits and trainings."""

from typing import Final

from app.jobs.states import JobKind
from workers.audits import audit_job, shards
from workers.runtime.run import Perform, PerformShard
from workers.trainings import kinds

PERFORM: Final[dict[JobKind, Perform]] = {
    JobKind.AUDIT: audit_job.perform,
    JobKind.TRAINING: kinds.perform,
}

PERFORM_SHARD: Final[dict[JobKind, PerformShard]] = {JobKind.AUDIT: shards.perform_shard}
