"""The worker process: takes job ids from one queue and runs each in a forked work-horse.

    python -m workers audits
    python -m workers trainings

RQ carries ids and watches processes; what a job is and how it ended stands in the database.
Where this departs from RQ's own worker, it is because of what RQ does otherwise:

- a killed worker leaves its horse running, and a second run starts beside it: here the horse dies
  with its worker;
- an outage of Redis ends a worker, and with it a job that needs no Redis: here it waits;
- a job's hash may name any function and any callback: here nothing runs but
  `workers.runtime.run.run`;
- SIGTERM waits for the job, for hours: here the job is put down and goes on elsewhere.
"""

import importlib
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Final

import structlog
from redis import Redis
from redis.exceptions import ResponseError
from rq import Queue, Worker, worker_registration
from rq.exceptions import NoSuchJobError, StopRequested, TimeoutFormatError
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException
from rq.worker import WorkerStatus

from app.devices import chosen_device
from app.jobs.queue import JOB_FUNCTION, WORKER_SILENT_SECONDS
from app.jobs.states import QUEUED_KINDS, JobKind
from app.observability import logs
from app.operations.heartbeat import BEAT_SECONDS
from app.operations.needs import Outages, why_not_redis
from app.processes import die_with, ending, keep_files_private
from app.settings import BadSetting, Settings, load_settings
from models.memory import keep_freed_memory
from workers.runtime import run
from workers.runtime.context import WorkerContext
from workers.runtime.entries import IdQueue
from workers.runtime.patience import patient_client
from workers.runtime.pulse import Pulse
from workers.runtime.recovery import settle
from workers.runtime.run import JobFunctions, ShardFunctions
from workers.runtime.signals import (
    end_at_signals,
    held_back,
    leave_in_time_at_signals,
    past_ending,
)

log = structlog.get_logger("workers.worker")

MONITORING_SECONDS: Final = 5
"""How often the parent tells Redis that its job is alive; three misses, and RQ gives it up."""
MAINTENANCE_SECONDS: Final = 60
RESULT_TTL_SECONDS: Final = 60


class ForbiddenFunction(Exception):
    """Redis holds a job that would run something else than a job of ours."""


class RunJob(Job):
    """A job of which nothing is believed but its id: it runs ``run(id)``, or does not run."""

    # Each of these would import what the hash names.
    success_callback = None
    failure_callback = None
    stopped_callback = None

    def refresh(self) -> None:
        """Read the hash.

        Raises:
            NoSuchJobError: there is none, or something else under its name.
        """
        try:
            super().refresh()  # type: ignore[no-untyped-call]
        except ResponseError as error:
            log.warning("a job's record is no hash", job=self.id, error=str(error))
            raise NoSuchJobError(f"{self.id} is no hash: {error}") from error

    def restore(self, raw_data: Any) -> Any:
        """Read the hash, but neither call addresses nor start other jobs for it.

        Raises:
            NoSuchJobError: it cannot be read; a worker passes over it, and lives.
        """
        try:
            super().restore(raw_data)
        except (
            *(ValueError, TypeError, KeyError, AttributeError),
            *(AssertionError, TimeoutFormatError),
        ) as error:
            raise NoSuchJobError(f"{self.id} is damaged: {error}") from error
        self.webhooks = []
        self.repeats_left = None
        self._dependency_ids = []

    def _execute(self) -> Any:
        if self.func_name != JOB_FUNCTION or list(self.args) != [self.id] or self.kwargs:
            raise ForbiddenFunction(
                f"{self.id} asks for {self.get_call_string()}; only {JOB_FUNCTION}(its id) may run"
            )
        return run.run(self.id)


class HorseWorker(Worker):
    """RQ's worker with a horse that never outlives it, on one queue, with a name of its own."""

    max_connection_wait_time = 5.0
    log_result_lifespan = False

    def __init__(
        self, kind: JobKind, context: WorkerContext, connection: Redis, pulse: Pulse
    ) -> None:
        queue = IdQueue(
            kind.collection, connection=connection, job_class=RunJob, serializer=JSONSerializer
        )
        super().__init__(
            [queue],
            connection=connection,
            queue_class=IdQueue,
            job_class=RunJob,
            serializer=JSONSerializer,
            default_result_ttl=RESULT_TTL_SECONDS,
            worker_ttl=WORKER_SILENT_SECONDS,
            maintenance_interval=MAINTENANCE_SECONDS,
            job_monitoring_interval=MONITORING_SECONDS,
        )
        self._ids = queue
        self.context = context
        self.pulse = pulse
        self._horse_status: int | None = None

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:  # noqa: ARG002
        """Give a sign of life, which counts for `WORKER_SILENT_SECONDS` in any case; and register
        again, for a Redis that was wiped knows no worker any more."""
        super().heartbeat(WORKER_SILENT_SECONDS, pipeline)
        worker_registration.register(self, pipeline)
        if pipeline is None and not self._stop_requested:  # idle: about to take a job
            self.pulse.wait()

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """RQ's own, and that of the heartbeat file: while a job runs, this is the main loop."""
        super().maintain_heartbeats(job, execution)
        self.pulse.beat()

    @property
    def dequeue_timeout(self) -> int:
        """For how many seconds it blocks on the queue. In between it gives signs of life."""
        return round(BEAT_SECONDS)

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:  # noqa: ARG002
        """How long RQ believes in a run after its last sign of life, in seconds."""
        return 3 * MONITORING_SECONDS

    def clean_registries(self) -> None:
        """RQ's own, which would end the worker at an entry that it cannot read."""
        try:
            self._ids.drop_foreign()
            super().clean_registries()  # type: ignore[no-untyped-call]
        except StopRequested:
            raise
        except Exception as error:
            log.warning("cannot clean RQ's registries", exc_info=error)
            self.last_cleaned_at = datetime.now(UTC)  # type: ignore[assignment]

    # The parent: one job at a time, from the fork to the row's state afterwards.

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run the job in a horse; then put the row right if the horse could not.

        RQ's own bookkeeping may fail in the middle, because Redis was wiped: then the horse is
        waited for all the same, for the row alone says what became of the job.
        """
        self._horse_status = None
        # RQ kills a horse by that of the hash, which could end every job after a minute, or none.
        job.timeout = self.context.settings.job_timeout_seconds
        run.claimed.write(0)  # RQ may fail before it forks
        try:
            super().execute_job(job, queue)
        except StopRequested:
            raise
        except Exception as error:
            log.warning("RQ lost track of a job", job=job.id, exc_info=error)
            self._wait_out_horse()
        settle(self.context, job.id, run.claimed.read(), _ending(self._horse_status))

    def _wait_out_horse(self) -> None:
        if self.horse_pid and self._horse_status is None:
            self.wait_for_horse()
        self._horse_pid = 0
        self.executions.clear()
        self.set_state(WorkerStatus.IDLE)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork with SIGTERM and SIGINT held back.

        The horse keeps SIGTERM blocked for good: its watchdog collects it, also while a long call
        computes. The parent may have another thread that takes the signal (a BLAS has one), so a
        stop that came before the horse's id was known is passed on afterwards.
        """
        with held_back(signal.SIGTERM, signal.SIGINT):
            super().fork_work_horse(job, queue)
        if self._stop_requested:
            self._tell_horse()

    def wait_for_horse(self) -> Any:
        """Wait, and remember how the horse ended."""
        ended = super().wait_for_horse()
        self._horse_status = ended[1]
        return ended

    def handle_warm_shutdown_request(self) -> None:
        """Ask the horse to put its job down."""
        self.log.info("Worker %s: stopping", self.name)
        self._tell_horse()

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """A second SIGTERM changes nothing: the job is being put down already."""
        self.log.info("Worker %s: is stopping already", self.name)
        self._tell_horse()

    def set_shutdown_requested_date(self) -> None:
        """Not told to Redis: a signal handler must not wait for it."""

    def _tell_horse(self) -> None:
        if self.horse_pid:
            try:
                os.kill(self.horse_pid, signal.SIGTERM)
            except ProcessLookupError:
                return

    # Nothing is commanded through Redis, so no thread listens that would be there to be forked.

    def subscribe(self) -> None:
        """Do not listen for RQ's commands."""

    def unsubscribe(self) -> None:
        """There is nothing to end."""

    # The horse.

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Tie the horse's life to its worker's before anything else, then work."""
        die_with(parent=self.pid or 0)
        keep_freed_memory()
        super().main_work_horse(job, queue)

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:  # noqa: ARG002
        """Run the job. Redis is told of its end by the parent, which may wait for Redis."""
        self.prepare_job_execution(job, remove_from_intermediate_queue=True)
        timeout = self.context.settings.job_timeout_seconds  # the hash's could be anything
        try:
            with self.death_penalty_class(timeout, JobTimeoutException, job_id=job.id):
                job.perform()
        except Exception as error:
            log.error("a horse falls", job=job.id, exc_info=error)
            raise  # the parent hears of it by the exit status
        return True

    def setup_work_horse_signals(self) -> None:
        """Ctrl-C concerns the worker alone; SIGTERM stays blocked, see `fork_work_horse`."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _ending(status: int | None) -> str:
    """How a horse ended, in words, from its wait status."""
    if status is None:
        return "its process is gone"
    return f"its process {ending(os.waitstatus_to_exitcode(status))}"


def serve(
    kind: JobKind, settings: Settings, functions: JobFunctions, shard_functions: ShardFunctions
) -> None:
    """Work until SIGTERM."""
    end_at_signals()
    leave_in_time_at_signals()
    outages = Outages()
    connection = patient_client(
        settings.redis_url,
        lost=lambda error: outages.lost("queue", why_not_redis(settings, error)),
        back=lambda: outages.over("queue"),
    )
    context = WorkerContext.open(settings, connection)
    pulse = Pulse(context, kind.collection, outages=outages)
    pulse.wait()
    run.configure(context, functions, shard_functions)
    if kind is JobKind.TRAINING:
        # The first optimiser of a process imports this, two seconds that every horse would spend.
        importlib.import_module("torch._dynamo")
    worker = HorseWorker(kind, context, connection, pulse)
    worker.work(logging_level=settings.log_level.upper())
    pulse.stop()


def main(
    functions: JobFunctions,
    shard_functions: ShardFunctions,
    arguments: Sequence[str] | None = None,
) -> int:
    """The command line.

    Args:
        functions: what does the jobs of each kind.
        shard_functions: what does shards of them.
        arguments: of the process, if there are none.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    queues = {kind.collection: kind for kind in QUEUED_KINDS}
    if len(arguments) != 1 or arguments[0] not in queues:
        sys.stderr.write(f"usage: python -m workers {'|'.join(queues)}\n")
        return 2
    try:
        settings = load_settings()
        if settings.device != "auto":  # which is chosen in the horse
            chosen_device(settings.device)
    except BadSetting as error:
        logs.cannot_start(str(error))
        return 1
    keep_files_private()
    logs.configure(settings.log_level, settings.log_format)
    serve(queues[arguments[0]], settings, functions, shard_functions)
    past_ending()
    return 0
