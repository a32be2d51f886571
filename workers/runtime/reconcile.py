"""The reconciler: sees to it that every accepted job reaches an end.

    python -m workers.runtime.reconcile

Every two seconds it compares the rows of unfinished jobs with what is going on. The database is the
truth, so it also works through an outage of Redis and after a FLUSHALL; its writes are conditional,
so a look that comes too late does nothing. One reconciler acts at a time, by a lock in Redis;
others watch, and take over when it is gone.

| what it sees | what it does |
|---|---|
| running, and the heartbeat stands still | queued again, or failed after too many attempts |
| cancelling, and the heartbeat stands still | cancelled |
| queued, and Redis does not have it | its id is put on the queue |
| a study that is not at its end | what of it can be begun is begun |
| kept for longer than a setting says | removed, see `workers.runtime.retention` |

Shards of running jobs are looked after in the same way (`workers.runtime.shard_recovery`).
"""

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from redis.exceptions import LockError, RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import load_only

from app.errors import Unavailable
from app.jobs.attempts import ALIVE
from app.jobs.queue import brief_client
from app.jobs.states import QUEUED_KINDS, UNFINISHED, JobKind, JobStatus
from app.jobs.tables import Job
from app.observability import logs
from app.processes import keep_files_private
from app.settings import BadSetting, Settings, load_settings
from app.studies import driving
from workers.runtime.collect import collect
from workers.runtime.context import WorkerContext
from workers.runtime.last_seen import SILENT_SECONDS, LastSeen
from workers.runtime.pulse import Pulse
from workers.runtime.recovery import give_up, requeue
from workers.runtime.retention import enforce
from workers.runtime.shard_recovery import ShardReconciler
from workers.runtime.signals import ENDING, leave_in_time_at_signals, past_ending

log = structlog.get_logger("workers.reconcile")

LOOK_SECONDS: Final = 2.0
LOCK_NAME: Final = "serval:reconciler"
LOCK_SECONDS: Final = 10.0
COLLECT_SECONDS: Final = 600.0
RETAIN_SECONDS: Final = 60.0
"""Between two looks at what is kept no longer; where a look does not suffice, the next one goes on
at once."""
LOOKED_AT: Final = (
    Job.id,
    Job.kind,
    Job.owner,
    Job.status,
    Job.attempt,
    Job.heartbeat_at,
    Job.model,
    Job.parent_id,
    Job.created_at,
)
"""Of thousands of waiting jobs the requests need not be read every two seconds."""


@dataclass(frozen=True)
class Sign:
    """What tells that a job is being looked after: as long as it changes, somebody is."""

    status: JobStatus
    attempt: int
    heartbeat_at: datetime | None


class Reconciler:
    """Looks at each unfinished job, and remembers since when nothing has changed there."""

    def __init__(
        self, context: WorkerContext, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._context = context
        self._clock = clock
        self._seen = LastSeen(clock)
        self._recovered: set[str] = set()
        self._lock = context.queue.redis.lock(LOCK_NAME, timeout=LOCK_SECONDS, blocking=False)
        self._collected = float("-inf")
        self._shards = ShardReconciler(context, LastSeen(clock))
        self._retained = float("-inf")

    def look(self) -> None:
        """Look at every unfinished job once, and act if it is this one's turn.

        Raises:
            SQLAlchemyError: the database is away.
        """
        acts, redis_answers = self._has_the_turn()
        unfinished = self._unfinished()
        jobs = [job for job in unfinished if job.kind in QUEUED_KINDS]
        self._seen.update({job.id: Sign(job.status, job.attempt, job.heartbeat_at) for job in jobs})
        self._recovered &= {job.id for job in jobs}
        self._shards.look(acts=acts, redis_answers=redis_answers)
        if not acts:
            return
        for job in jobs:
            if job.status in ALIVE:
                self._recover(job)
        if redis_answers:
            for kind in QUEUED_KINDS:
                self._requeue_missing(kind, jobs)
        self._drive([job.id for job in unfinished if job.kind is JobKind.STUDY])
        if self._clock() - self._collected > COLLECT_SECONDS:
            self._collected = self._clock()
            self._collect()
        if self._clock() - self._retained > RETAIN_SECONDS:
            self._retain()

    def saw_nothing(self) -> None:
        """After a look that failed: who could not be seen was not silent, count from now on."""
        self._seen.saw_nothing()
        self._shards.saw_nothing()

    def _collect(self) -> None:
        try:
            collect(self._context)
        except OSError as error:  # a full disk: no reason to leave the jobs alone
            log.warning("cannot collect orphans", error=str(error))

    def _retain(self) -> None:
        try:
            more = enforce(self._context)
        except (OSError, Unavailable) as error:
            log.warning("cannot remove what is kept no longer", error=str(error))
            more = False
        if not more:
            self._retained = self._clock()

    def leave(self) -> None:
        """Let another reconciler have the turn at once."""
        try:
            if self._lock.owned():
                self._lock.release()
        except (RedisError, OSError):
            return  # the lock expires

    def _has_the_turn(self) -> tuple[bool, bool]:
        """Whether to act, and whether Redis answers. Without Redis each reconciler acts: what it
        does then are conditional writes to the database, which do not collide."""
        try:
            if self._lock.owned():
                return self._lock.reacquire(), True
            return bool(self._lock.acquire()), True
        except LockError:  # it expired, or Redis was wiped, since we asked
            return False, True
        except (RedisError, OSError) as error:
            log.debug("Redis is away", error=f"{type(error).__name__}: {error}")  # the pulse tells
            return True, False

    def _unfinished(self) -> Sequence[Job]:
        with self._context.sessions() as session:
            query = (
                select(Job)
                .where(Job.status.in_(UNFINISHED))
                .order_by(Job.created_at, Job.id)
                .options(load_only(*LOOKED_AT, raiseload=True))
            )
            return session.scalars(query).all()

    def _recover(self, job: Job) -> None:
        """Take the job from an attempt that has fallen silent."""
        silent = self._seen.silent_seconds(job.id)
        if silent < SILENT_SECONDS:
            return
        reason = f"its worker was not heard of for {silent:.0f} seconds"
        status = give_up(self._context, job, reason, unchanged_since=job.heartbeat_at)
        if status is None:
            return
        log.warning("recovered", job=job.id, attempt=job.attempt, reason=reason, status=status)
        if status is JobStatus.QUEUED:
            self._recovered.add(job.id)

    def _drive(self, studies: Sequence[str]) -> None:
        """Do what can be done for each; one that cannot be driven keeps no job waiting."""
        for study in studies:
            try:
                driving.drive(self._context, study)
            except SQLAlchemyError:
                raise
            except Exception as error:
                log.error("cannot drive a study", job=study, exc_info=error)

    def _requeue_missing(self, kind: JobKind, jobs: Sequence[Job]) -> None:
        """Queue what should be on the queue and has not been for a while."""
        try:
            waiting = self._context.queue.waiting(kind)
            for job in jobs:
                if job.kind is kind and self._is_due(job, waiting):
                    requeue(self._context, job.id, kind)
                    self._seen.found(job.id)
                    self._recovered.discard(job.id)
                    log.info("queued again", job=job.id)
        except Unavailable as error:
            log.warning("Redis is away", error=error.detail)

    def _is_due(self, job: Job, waiting: set[str]) -> bool:
        """Whether the job should be on the queue and will not get there by itself."""
        if job.id in self._recovered:
            return True  # whatever Redis has of it is of the lost attempt
        if job.status is not JobStatus.QUEUED or job.id in waiting:
            self._seen.found(job.id)
            return False
        return self._seen.is_lost(job.id)


def serve(settings: Settings, stop: threading.Event) -> None:
    """Look every two seconds until ``stop`` is set."""
    redis = brief_client(settings.redis_url, timeout_seconds=settings.redis_timeout_seconds)
    context = WorkerContext.open(settings, redis)
    reconciler, pulse = Reconciler(context), Pulse(context, "reconciler", redis)
    while True:
        try:
            pulse.beat()
            reconciler.look()
        except SQLAlchemyError as error:
            reconciler.saw_nothing()
            log.debug("the database is away", error=str(error).splitlines()[0])  # the pulse tells
        if stop.wait(LOOK_SECONDS):
            reconciler.leave()
            pulse.stop()
            return


def main() -> int:
    """The command line."""
    try:
        settings = load_settings()
    except BadSetting as error:
        logs.cannot_start(str(error))
        return 1
    keep_files_private()
    logs.configure(settings.log_level, settings.log_format)
    stop = threading.Event()
    for number in ENDING:
        signal.signal(number, lambda *_: stop.set())
    leave_in_time_at_signals()
    serve(settings, stop)
    past_ending()
    return 0


if __name__ == "__main__":
    sys.exit(main())
