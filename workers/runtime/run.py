"""The only function that a worker calls: `run(id)`, of a job or of a shard of one.

It claims the job, does it, and writes how it ended. A job's error says what its owner can act on;
everything else goes to the log, under the number of the attempt.
"""

import mmap
import os
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog
import torch
from rq.timeouts import JobTimeoutException
from structlog.contextvars import bound_contextvars

from app.audits import files
from app.jobs.attempts import Attempt, CancelRequested, Superseded, claim
from app.jobs.shards import ShardAttempt, parse_shard_id
from app.jobs.shards import claim as claim_shard
from app.jobs.states import JobKind
from app.persistence.database import is_away
from workers.runtime.context import WorkerContext
from workers.runtime.named_errors import named
from workers.runtime.outcome import JobResult
from workers.runtime.progress import Stopped, Watch, Watchdog, time_limit_error
from workers.runtime.retries import retry_while_database_is_away

log = structlog.get_logger("workers.run")

Perform = Callable[[WorkerContext, Attempt, Watchdog], JobResult]
"""Does a job of one kind. It calls `watchdog.check()` wherever it can be interrupted, raises what
that raises after saving its checkpoint, and finds the checkpoint again in a later attempt."""

PerformShard = Callable[[WorkerContext, ShardAttempt, Watch], dict[str, Any]]
"""Does a shard of a job of one kind, in the same way, and gives what the job is told of it."""

JobFunctions = Mapping[JobKind, Perform]
"""What does the jobs of each kind; `workers.jobs` has them."""
ShardFunctions = Mapping[JobKind, PerformShard]
"""What does the shards of those kinds that are split."""


class SharedNumber:
    """A number that a process and the children it forks see alike."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def read(self) -> int:
        """The number that was written last, by whichever process."""
        (number,) = struct.unpack("q", self._memory[:8])
        return int(number)

    def write(self, number: int) -> None:
        """Write the number."""
        self._memory[:8] = struct.pack("q", number)


claimed: Final = SharedNumber()
"""The attempt that the horse has claimed, 0 for none: how its parent knows what it left behind."""

_work: tuple[WorkerContext, JobFunctions, ShardFunctions] | None = None


def configure(
    context: WorkerContext, functions: JobFunctions, shard_functions: ShardFunctions | None = None
) -> None:
    """Say where `run` works and what does its jobs. Called once, by the worker, before it forks."""
    global _work  # noqa: PLW0603  (RQ gives a job nothing but its arguments)
    _work = context, functions, shard_functions or {}


def run(job_id: str) -> None:
    """Run a job, or a shard; RQ calls this in the work-horse. Nothing is returned, the row has it
    all."""
    if _work is None:
        raise RuntimeError("call configure() first: a job cannot be run outside of a worker")
    context, functions, shard_functions = _work
    shard = parse_shard_id(job_id)
    if shard is None:
        _run(context, functions, job_id)
    else:
        _run_shard(context, shard_functions, *shard)


def _run(context: WorkerContext, functions: JobFunctions, job_id: str) -> None:
    # Not on a full disk: the worker waits for room before it takes the job again.
    attempt = retry_while_database_is_away(lambda: claim(context.sessions, job_id), full=False)
    if attempt is None:
        log.info("nothing to do: the job is not queued", job=job_id)
        return
    claimed.write(attempt.number)
    with bound_contextvars(job=job_id, attempt=attempt.number):
        log.info("started", pid=os.getpid())
        watchdog = Watchdog(attempt, time_limit_seconds=context.settings.job_timeout_seconds)
        try:
            with watchdog:
                _set_up_torch(context.settings.torch_threads)
                outcome = functions[attempt.kind](context, attempt, watchdog)
                watchdog.finish()
                kept = files.sizes(context.storage, job_id, attempt.number)
                retry_while_database_is_away(
                    lambda: attempt.succeed(outcome.result, publish=outcome.publish, kept=kept)
                )
            log.info("succeeded")
        except CancelRequested:
            retry_while_database_is_away(attempt.cancelled)
        except Superseded as error:
            log.warning("stopped", reason=str(error))
        except Stopped:
            retry_while_database_is_away(lambda: attempt.release("the worker was stopped"))
            log.info("put down")
        except Exception as error:
            if is_away(error):
                raise  # the parent, or the reconciler, gives the job to another attempt
            _fail(attempt, describe(error, attempt, context.settings.job_timeout_seconds))


def _run_shard(context: WorkerContext, functions: ShardFunctions, job_id: str, number: int) -> None:
    # As in `_run`, not on a full disk.
    shard = retry_while_database_is_away(
        lambda: claim_shard(context.sessions, job_id, number), full=False
    )
    if shard is None:
        log.info("nothing to do: the shard is not queued", job=job_id, shard=number)
        return
    claimed.write(shard.number)
    with bound_contextvars(job=job_id, shard=number, attempt=shard.number):
        log.info("started", pid=os.getpid())
        watch = Watch(shard, time_limit_seconds=context.settings.job_timeout_seconds)
        try:
            with watch:
                _set_up_torch(context.settings.torch_threads)
                result = functions[shard.kind](context, shard, watch)
                watch.finish()
                retry_while_database_is_away(lambda: shard.finish(result))
            log.info("succeeded")
        except Superseded as error:
            log.warning("stopped", reason=str(error))
        except Stopped:
            retry_while_database_is_away(lambda: shard.release("the worker was stopped"))
            log.info("put down")
        except Exception as error:
            if is_away(error):
                raise  # the parent, or the reconciler, gives the shard to another attempt
            told = describe(error, shard, context.settings.job_timeout_seconds)
            with suppress(Superseded):  # the job has ended meanwhile
                retry_while_database_is_away(lambda: shard.fail(told))


def _fail(attempt: Attempt, error: dict[str, Any]) -> None:
    """End the job with ``error``, unless it was cancelled or given to another attempt."""
    try:
        retry_while_database_is_away(lambda: attempt.fail(error))
    except CancelRequested:
        retry_while_database_is_away(attempt.cancelled)
    except Superseded as superseded:
        log.warning("stopped", reason=str(superseded))


def describe(
    error: Exception, attempt: Attempt | ShardAttempt, time_limit: float
) -> dict[str, Any]:
    """What the job's owner is told of an error; the log is told the rest."""
    told = named(error)
    if told is not None:
        return told
    if isinstance(error, JobTimeoutException):
        return time_limit_error(time_limit)
    log.error("failed", exc_info=error)
    part = f", shard {attempt.shard}" if isinstance(attempt, ShardAttempt) else ""
    return {
        "code": "internal_error",
        "message": "Something happened that should not have. The worker's log tells more,"
        f" under {attempt.job_id}{part}, attempt {attempt.number}.",
    }


def _set_up_torch(threads: int) -> None:
    """Threads are started here, in the horse: a parent that had some could not be forked."""
    if threads:
        torch.set_num_threads(threads)
