"""What a worker works with: settings, database, files, queue. Opened once, before any fork."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from redis import Redis
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.jobs.queue import JobQueue
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.settings import Settings

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class WorkerContext:
    """The parts that jobs share. Safe to fork with: each process opens connections of its own."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    storage: Storage
    queue: JobQueue

    @classmethod
    def open(cls, settings: Settings, redis: Redis) -> Self:
        """Connect to nothing yet, but know where everything is."""
        engine = connect(settings.database_url)
        queue = JobQueue(
            redis,
            job_timeout_seconds=settings.job_timeout_seconds,
            failure_ttl_seconds=settings.job_failure_ttl_seconds,
        )
        return cls(settings, engine, sessions(engine), Storage(settings.data_dir), queue)

    def device(self) -> "torch.device":
        """Where networks run. Only for a work-horse: asking for CUDA opens it."""
        from app.devices import chosen_device  # not above: the reconciler starts without torch

        return chosen_device(self.settings.device)

    def checkpoint_dir(self, job_id: str) -> Path:
        """Where a job keeps what only its later attempts need; gone when the job has ended."""
        return self.storage.job_dir(job_id) / "checkpoint"
