"""Doing the shards of a job, beside other workers, until all are done; see `app.jobs.shards`."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from app.errors import Unavailable
from app.jobs import shards
from app.jobs.attempts import Attempt, Superseded
from app.jobs.queue import JobQueue, brief_client
from app.jobs.shards import ShardAttempt, ShardLost, parse_shard_id
from app.jobs.states import ShardStatus
from app.jobs.tables import Shard
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed
from workers.runtime.progress import Stopped, Watchdog
from workers.runtime.retries import retry_while_database_is_away
from workers.runtime.shard_recovery import offer

log = structlog.get_logger("workers.shards")

WAIT_SECONDS: Final = 0.1
"""Between two looks whether the shards that others do are done."""
OFFER_SECONDS: Final = 2.0
"""Between two looks whether there is help to be had, which ask Redis."""


def do_shards(
    context: WorkerContext,
    attempt: Attempt,
    watchdog: Watchdog,
    work: Callable[[ShardAttempt], dict[str, Any]],
    wait: Callable[[], None],
) -> Sequence[Shard]:
    """Work on the shards of a job until all are done.

    Args:
        attempt: at the job.
        watchdog: of the attempt.
        work: does a shard, and gives what the job is told of it.
        wait: called again and again while others do the last ones.

    Returns:
        All of them, in their order.

    Raises:
        Stopped: the worker is to stop.
        Superseded: the job is another attempt's.
        JobFailed: a shard failed.
        After the first two, a shard under way was given back.
    """
    redis = brief_client(
        context.settings.redis_url, timeout_seconds=context.settings.redis_timeout_seconds
    )
    queue = JobQueue(redis)  # the worker's own client would wait for a Redis that is away
    offered = float("-inf")
    try:
        while True:
            watchdog.check()
            if time.monotonic() - offered >= OFFER_SECONDS:
                retry_while_database_is_away(lambda: offer(context, queue, attempt.job_id))
                offered = time.monotonic()
            shard = retry_while_database_is_away(
                lambda: shards.claim_any(context.sessions, attempt.job_id)
            )
            if shard is not None:
                _do(shard, watchdog, work)
                continue
            found = read(context, attempt.job_id)
            if all(one.status is ShardStatus.DONE for one in found):
                _take_off(queue, attempt)
                return found
            wait()
            time.sleep(WAIT_SECONDS)
    finally:
        queue.close()


def _take_off(queue: JobQueue, attempt: Attempt) -> None:
    """Take ids off the queue that were offered, and which no other worker came to."""
    try:
        for name in queue.waiting(attempt.kind):
            shard = parse_shard_id(name)
            if shard is not None and shard[0] == attempt.job_id:
                queue.forget(name)
    except Unavailable as error:
        log.warning("Redis is away", error=error.detail)


def read(context: WorkerContext, job_id: str) -> Sequence[Shard]:
    """The job's shards, in their order.

    Raises:
        JobFailed: one of them failed.
    """
    found = retry_while_database_is_away(lambda: shards.read(context.sessions, job_id))
    for one in found:
        if one.status is ShardStatus.FAILED:
            error = dict(one.error or {})
            raise JobFailed(error.pop("code"), error.pop("message"), **error)
    return found


def _do(
    shard: ShardAttempt, watchdog: Watchdog, work: Callable[[ShardAttempt], dict[str, Any]]
) -> None:
    try:
        with watchdog.beating(shard):
            result = work(shard)
            retry_while_database_is_away(lambda: shard.finish(result))
    except ShardLost as error:
        log.warning("another worker has the shard", reason=str(error))
    except Stopped:
        _give_back(shard, "the worker was stopped")
        raise
    except Superseded:
        _give_back(shard, "the job was given to another attempt")
        raise


def _give_back(shard: ShardAttempt, reason: str) -> None:
    """For others to go on with at once."""
    try:
        retry_while_database_is_away(lambda: shard.release(reason))
    except ShardLost as error:
        log.warning("another worker has the shard", reason=str(error))
