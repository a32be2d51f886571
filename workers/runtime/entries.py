"""The queue as a worker takes from it: what is no id of a job is dropped, and told."""

from typing import Any

import structlog
from redis import Redis
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.intermediate_queue import IntermediateQueue

from app.errors import shown
from app.jobs.queue import job_id_of

log = structlog.get_logger("workers.entries")


class IdQueue(Queue):
    """RQ's queue, which would end its worker at an entry that is not UTF-8."""

    @classmethod
    def lmove(cls, connection: Redis, queue_key: str, timeout: int | None) -> Any:
        """The next entry, kept on the intermediate queue until its job is started.

        Raises:
            DequeueTimeout: there was none in time, or one that was dropped.
        """
        taken = super().lmove(connection, queue_key, timeout)
        if taken is not None and job_id_of(taken[1]) is None:
            drop(connection, IntermediateQueue.get_intermediate_queue_key(queue_key), taken[1])
            raise DequeueTimeout(timeout, queue_key)
        return taken

    def drop_foreign(self) -> None:
        """Drop what lies on the intermediate queue and is no id of a job."""
        for entry in self.connection.lrange(self.intermediate_queue_key, 0, -1):
            if job_id_of(entry) is None:
                drop(self.connection, self.intermediate_queue_key, entry)


def drop(connection: Redis, key: str, entry: bytes | str) -> None:
    """Remove the entry, wherever it stands in the list."""
    connection.lrem(key, 0, entry)  # type: ignore[arg-type]  # it takes bytes
    log.warning("dropped: no id of a job", queue=key, entry=shown(entry))
