"""The queue to the workers: RQ on Redis or Valkey. It carries ids of jobs, and nothing else.

The serializer is JSON (never pickle), and the worker's Job class runs nothing but `JOB_FUNCTION`.
The API's client gives up after at most two seconds: a submission then answers 503 and leaves
nothing behind. The workers' client, which must outlive an outage, is built in `workers`.
"""

import structlog
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.executions import ExecutionRegistry
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer
from rq.worker_registration import get_keys

from app.errors import Unavailable, shown
from app.jobs.redis_errors import why
from app.jobs.shards import parse_shard_id
from app.jobs.states import QUEUED_KINDS, JobKind
from app.persistence.ids import is_id

log = structlog.get_logger("serval.queue")

JOB_FUNCTION = "workers.runtime.run.run"
RETRY_AFTER_SECONDS = 5
WORKER_SILENT_SECONDS = 45
"""After so long without a sign of life a worker counts as dead."""


def brief_client(url: str, *, timeout_seconds: float) -> Redis:
    """A client that fails fast: one connect and one answer, each within ``timeout_seconds``.

    A pooled connection that the server closed meanwhile (a restart) is opened again once; a
    time-out is never repeated, so a ping and an enqueue end within four time-outs.
    """
    pool = ConnectionPool.from_url(
        url,
        socket_connect_timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    return Redis.from_pool(pool)


def job_id_of(entry: bytes | str) -> str | None:
    """The id of a job or of a shard that an entry of a queue is, or None: whoever has Redis'
    password may put anything there."""
    try:
        text = entry if isinstance(entry, str) else entry.decode("ascii")
    except UnicodeDecodeError:
        return None
    shard = parse_shard_id(text)
    job_id = text if shard is None else shard[0]
    return text if is_id(job_id, "audit") or is_id(job_id, "train") else None


class JobQueue:
    """Puts job ids on the queue of their kind."""

    def __init__(
        self,
        redis: Redis,
        *,
        job_timeout_seconds: int = 7 * 24 * 3600,
        failure_ttl_seconds: int = 24 * 3600,
    ) -> None:
        self.redis = redis
        self._job_timeout = job_timeout_seconds
        self._failure_ttl = failure_ttl_seconds

    def ping(self) -> None:
        """Return if Redis answers.

        Raises:
            Unavailable: it does not, within the client's time-out.
        """
        try:
            self.redis.ping()
        except (RedisError, OSError) as error:
            raise _away(error) from error

    def enqueue(self, job_id: str, kind: JobKind) -> None:
        """Queue the job under its own id. A job that is queued already is not queued twice.

        Raises:
            Unavailable: Redis did not take it in time.
        """
        try:
            self._queue(kind).enqueue_call(
                JOB_FUNCTION,
                args=(job_id,),
                job_id=job_id,
                description=f"{kind} {job_id}",
                timeout=self._job_timeout,
                result_ttl=0,  # results are rows and files
                failure_ttl=self._failure_ttl,
                unique=True,
            )
        except DuplicateJobError:
            return
        except (RedisError, OSError) as error:
            remedy = " Nothing was queued; send the same request again."
            raise _away(error, remedy=remedy) from error

    def waiting(self, kind: JobKind) -> set[str]:
        """The ids that wait on the queue; not those that a worker has taken off it. What is no id
        of a job is dropped.

        Raises:
            Unavailable: Redis did not answer in time.
        """
        key = self._queue(kind).key
        try:
            entries = {entry: job_id_of(entry) for entry in self.redis.lrange(key, 0, -1)}
            for entry in [entry for entry, job_id in entries.items() if job_id is None]:
                self.redis.lrem(key, 0, entry)  # type: ignore[arg-type]  # it takes bytes
                log.warning("dropped: no id of a job", queue=key, entry=shown(entry))
        except (RedisError, OSError) as error:
            raise _away(error) from error
        return {job_id for job_id in entries.values() if job_id is not None}

    def workers(self, kind: JobKind) -> int:
        """How many workers of that kind live. One that was killed counts for
        `WORKER_SILENT_SECONDS` more.

        Raises:
            Unavailable: Redis did not answer in time.
        """
        try:
            keys = get_keys(self._queue(kind))
            return self.redis.exists(*keys) if keys else 0
        except (RedisError, OSError) as error:
            raise _away(error) from error

    def forget(self, job_id: str) -> None:
        """Drop Redis' record of the job, so that it can be queued anew. Its row is untouched.

        Key by key and without reading any: after an outage, what is there may be torn.
        """
        try:
            with self.redis.pipeline() as pipeline:
                for kind in QUEUED_KINDS:
                    queue = self._queue(kind)
                    pipeline.lrem(queue.key, 0, job_id)
                    pipeline.lrem(queue.intermediate_queue_key, 0, job_id)
                    pipeline.zrem(queue.failed_job_registry.key, job_id)
                    started = queue.started_job_registry.key
                    for run, _ in self.redis.zscan_iter(started, match=f"{job_id}:*"):
                        pipeline.zrem(started, run)
                pipeline.delete(
                    RqJob.key_for(job_id),
                    RqJob.dependents_key_for(job_id),
                    ExecutionRegistry(job_id, self.redis).key,
                )
                pipeline.execute()
        except (RedisError, OSError) as error:
            raise _away(error) from error

    def close(self) -> None:
        """Close the connections."""
        self.redis.connection_pool.disconnect()

    def _queue(self, kind: JobKind) -> Queue:
        return Queue(kind.collection, connection=self.redis, serializer=JSONSerializer)


def living_workers(queue: JobQueue) -> dict[str, int]:
    """How many workers live, by the name of their queue.

    Raises:
        Unavailable: Redis did not answer in time.
    """
    return {kind.collection: queue.workers(kind) for kind in QUEUED_KINDS}


def _away(error: Exception, *, remedy: str = "") -> Unavailable:
    """The log is told Redis' own words, which may hold names of users and keys."""
    log.warning("Redis is away", error=f"{type(error).__name__}: {error}")
    return Unavailable(
        f"The job queue (Redis) {why(error)}.{remedy}",
        code="queue_unavailable",
        retry_after=RETRY_AFTER_SECONDS,
    )
