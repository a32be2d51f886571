"""The last good checkpoint of a model's training that diverged, which outlives it.

Its owner lowers a learning rate and goes on from there. Apart from the service, because the
reconciler asks for it and must not load torch for it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from app.jobs.states import JobKind, JobStatus
from app.persistence.storage import Storage

DIVERGED: Final = "diverged"
"""Code of the error."""


def checkpoint_dir(storage: Storage, job_id: str) -> Path:
    """Where a job keeps what only later attempts need."""
    return storage.job_dir(job_id) / "checkpoint"


def outlives(kind: JobKind, status: JobStatus, error: Mapping[str, Any] | None) -> bool:
    """Whether the checkpoint of a job stays, as long as its row does: one whose error says which.

    That of a detector's training says nothing, for none goes on from it.
    """
    if kind is not JobKind.TRAINING or status is not JobStatus.FAILED or error is None:
        return False
    return error.get("code") == DIVERGED and error.get("checkpoint_iteration") is not None


def kept_checkpoint(storage: Storage, job_id: str) -> Path | None:
    """The latest checkpoint of a training; None if it has none."""
    found = checkpoint_dir(storage, job_id).glob("attempt-*.safetensors")
    return max(found, default=None)
