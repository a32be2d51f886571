"""What API and workers have in common: settings, database, files, queue."""

from dataclasses import dataclass
from typing import Annotated, Self

from fastapi import Depends, Request
from redis import Redis
from sqlalchemy import Engine

from app.jobs.queue import JobQueue
from app.persistence.database import DatabaseState, connect, sessions
from app.persistence.storage import Storage
from app.settings import Settings
from app.state import state_of


@dataclass(frozen=True, kw_only=True)
class Services(DatabaseState):
    """Safe to fork with: each process opens connections of its own."""

    settings: Settings
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
        return cls(
            engine=engine,
            sessions=sessions(engine),
            settings=settings,
            storage=Storage(settings.data_dir, _wait_seconds(engine, settings)),
            queue=queue,
        )

    def close(self) -> None:
        """Close the connections."""
        self.queue.close()
        self.engine.dispose()


def _wait_seconds(engine: Engine, settings: Settings) -> float:
    """SQLite means one host, which sees its own files at once."""
    return 0.0 if engine.dialect.name == "sqlite" else settings.shared_folder_wait_seconds


async def _services(request: Request) -> Services:
    return state_of(request, Services)


ServicesDep = Annotated[Services, Depends(_services)]
