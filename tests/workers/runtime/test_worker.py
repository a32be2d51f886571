"""The worker: what it believes of Redis, and how its horse is tied to it."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from redis import Redis
from rq import Queue, Worker
from rq.exceptions import NoSuchJobError
from rq.executions import Execution
from rq.job import Job as AnyJob
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException, TimerDeathPenalty
from sqlalchemy.exc import OperationalError

from app.jobs.queue import JOB_FUNCTION, WORKER_SILENT_SECONDS
from app.jobs.states import JobKind
from tests.workers.conftest import Submit
from workers.jobs import PERFORM
from workers.runtime import reconcile, run, worker
from workers.runtime.context import WorkerContext
from workers.runtime.patience import patient_client
from workers.runtime.pulse import Pulse
from workers.runtime.worker import (
    ForbiddenFunction,
    HorseWorker,
    RunJob,
    _ending,
    main,
)

ID = "train_01K9ZQ3W8M4V7T2X6B5N0C1DEF"


@pytest.fixture
def redis(context: WorkerContext) -> Redis:
    return context.queue.redis


@pytest.fixture
def queue(redis: Redis) -> Queue:
    return Queue("trainings", connection=redis, serializer=JSONSerializer)


@pytest.fixture
def horse_worker(context: WorkerContext) -> Iterator[HorseWorker]:
    redis = patient_client(context.settings.redis_url)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield HorseWorker(JobKind.TRAINING, context, redis, Pulse(context, "trainings"))
    for number, handler in handlers.items():  # RQ's, once it worked, would outlive the test
        signal.signal(number, handler)
    redis.connection_pool.disconnect()


def fetched(queue: Queue, job_id: str = ID) -> RunJob:
    """The job as a worker reads it."""
    job = RunJob.fetch(job_id, connection=queue.connection, serializer=JSONSerializer)
    assert isinstance(job, RunJob)
    return job


class TestSignsOfLife:
    def test_a_worker_counts_from_its_birth_to_its_death(
        self, context: WorkerContext, horse_worker: Any
    ) -> None:
        counted = [context.queue.workers(JobKind.TRAINING)]
        horse_worker.register_birth()
        counted.append(context.queue.workers(JobKind.TRAINING))
        assert context.queue.workers(JobKind.AUDIT) == 0
        horse_worker.register_death()
        counted.append(context.queue.workers(JobKind.TRAINING))
        assert counted == [0, 1, 0]

    @pytest.mark.parametrize("seconds", [None, 15, 600])  # as RQ gives them: idle or at work
    def test_each_counts_for_the_same_time_so_that_a_killed_worker_is_missed_soon(
        self, horse_worker: Any, redis: Redis, seconds: int | None
    ) -> None:
        horse_worker.register_birth()
        horse_worker.heartbeat(seconds)
        left = redis.ttl(horse_worker.key)
        assert WORKER_SILENT_SECONDS - 5 <= left <= WORKER_SILENT_SECONDS
        assert horse_worker.dequeue_timeout < WORKER_SILENT_SECONDS - 10  # the next one comes

    def test_one_whose_time_is_over_counts_no_more(
        self, context: WorkerContext, horse_worker: Any, redis: Redis
    ) -> None:
        horse_worker.register_birth()
        redis.delete(horse_worker.key)  # as Redis does when it expires
        assert context.queue.workers(JobKind.TRAINING) == 0

    def test_after_redis_was_wiped_the_next_one_makes_the_worker_known_again(
        self, context: WorkerContext, horse_worker: Any, redis: Redis
    ) -> None:
        horse_worker.register_birth()
        redis.flushdb()
        horse_worker.heartbeat()
        assert context.queue.workers(JobKind.TRAINING) == 1


class TestWhatMayRun:
    @pytest.fixture(autouse=True)
    def ran(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        ran: list[str] = []
        monkeypatch.setattr(run, "run", ran.append)
        return ran

    def test_the_job_function_with_its_own_id(
        self, context: WorkerContext, queue: Queue, ran: list[str]
    ) -> None:
        context.queue.enqueue(ID, JobKind.TRAINING)
        fetched(queue).perform()
        assert ran == [ID]

    @pytest.mark.parametrize(
        ("function", "arguments"),
        [
            ("os.system", ["touch owned"]),
            ("workers.runtime.run._run", [ID]),
            ("workers.runtime.run.run", ["train_01K9ZQ3W8M4V7T2X6B5N0C1DEG"]),
            ("workers.runtime.run.run", []),
        ],
    )
    def test_no_other_function_may_run(
        self, queue: Queue, ran: list[str], function: str, arguments: list[str]
    ) -> None:
        queue.enqueue_call(function, args=arguments, job_id=ID)
        with pytest.raises(ForbiddenFunction, match=ID):
            fetched(queue).perform()
        assert ran == []

    def test_no_callback_and_no_webhook(self, queue: Queue, redis: Redis) -> None:
        queue.enqueue_call("workers.runtime.run.run", args=[ID], job_id=ID)
        redis.hset(
            f"rq:job:{ID}",
            mapping={
                "success_callback_name": "os.abort",
                "failure_callback_name": "os.abort",
                "stopped_callback_name": "os.abort",
                "webhooks": '[{"url": "http://169.254.169.254/", "job_status": "finished"}]',
            },
        )
        job = fetched(queue)
        assert (job.success_callback, job.failure_callback, job.stopped_callback) == (None,) * 3
        assert job.webhooks == []

    def test_the_time_that_redis_gives_it_is_not_believed(
        self,
        horse_worker: HorseWorker,
        queue: Queue,
        context: WorkerContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        given: list[float] = []

        class Recorded(TimerDeathPenalty):
            def __init__(self, timeout: float, *_: object, **more: object) -> None:
                given.append(timeout)
                super().__init__(timeout, JobTimeoutException, **more)  # type: ignore[no-untyped-call]

        monkeypatch.setattr(horse_worker, "death_penalty_class", Recorded)
        monkeypatch.setattr(horse_worker, "prepare_job_execution", lambda *_, **__: None)
        job = queue.enqueue_call("workers.runtime.run.run", args=[ID], job_id=ID, timeout=1)
        horse_worker.perform_job(fetched(queue), queue, Execution("1", job.id, queue.connection))
        assert given == [context.settings.job_timeout_seconds]

    def test_the_parent_does_not_believe_the_hashs_time_limit(
        self,
        horse_worker: HorseWorker,
        context: WorkerContext,
        queue: Queue,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """RQ's parent kills a horse a minute after the limit of the job that it is given."""
        believed: list[int | None] = []
        monkeypatch.setattr(
            Worker, "execute_job", lambda _worker, job, _queue: believed.append(job.timeout)
        )
        queue.enqueue_call("workers.runtime.run.run", args=[ID], job_id=ID, timeout=1)
        run.configure(context, PERFORM)
        horse_worker.execute_job(fetched(queue), queue)
        assert believed == [context.settings.job_timeout_seconds]

    def test_a_damaged_record_is_as_good_as_none(self, queue: Queue, redis: Redis) -> None:
        redis.hset(f"rq:job:{ID}", mapping={"data": "[]", "timeout": "soon", "created_at": "x"})
        with pytest.raises(NoSuchJobError):
            fetched(queue)


class TestHostileEntries:
    """Whoever has Redis' password may put anything there: it is dropped, and work goes on."""

    @pytest.fixture(autouse=True)
    def ran(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        ran: list[str] = []
        monkeypatch.setattr(
            HorseWorker, "execute_job", lambda _worker, job, _queue: ran.append(job.id)
        )
        return ran

    @pytest.mark.parametrize("name", ["queue:trainings", "queue:trainings:intermediate"])
    @pytest.mark.parametrize(
        "entry", [b"\xff\xfe", b"", b"../../etc/passwd", b"key_1", b"\x00" * 9]
    )
    def test_an_entry_that_is_no_id_is_dropped_and_the_next_job_runs(
        self,
        horse_worker: HorseWorker,
        context: WorkerContext,
        redis: Redis,
        ran: list[str],
        name: str,
        entry: bytes,
    ) -> None:
        redis.lpush(f"rq:{name}", entry)
        context.queue.enqueue(ID, JobKind.TRAINING)
        horse_worker.work(max_jobs=1, logging_level="ERROR")
        assert ran == [ID]
        horse_worker.clean_registries()
        assert entry not in redis.lrange("rq:queue:trainings:intermediate", 0, -1)

    @pytest.mark.parametrize("damage", ["a string", "NaN"])
    def test_a_job_whose_record_is_wrong_is_passed_over(
        self,
        horse_worker: HorseWorker,
        context: WorkerContext,
        redis: Redis,
        ran: list[str],
        damage: str,
    ) -> None:
        other = "train_01K9ZQ3W8M4V7T2X6B5N0C1DEG"
        context.queue.enqueue(other, JobKind.TRAINING)
        if damage == "NaN":
            redis.hset(f"rq:job:{other}", "timeout", "NaN")
        else:
            redis.set(f"rq:job:{other}", damage)
        context.queue.enqueue(ID, JobKind.TRAINING)
        horse_worker.work(max_jobs=1, logging_level="ERROR")
        assert ran == [ID]

    def test_maintenance_survives_what_it_cannot_read(
        self, horse_worker: HorseWorker, redis: Redis
    ) -> None:
        redis.zadd("rq:wip:trainings", {b"\xff\xfe:1": 1})
        horse_worker.clean_registries()
        assert not horse_worker.should_run_maintenance_tasks

    def test_the_reconciler_sees_only_ids(self, context: WorkerContext, redis: Redis) -> None:
        redis.lpush("rq:queue:trainings", b"\xff\xfe", b"what", ID)
        assert context.queue.waiting(JobKind.TRAINING) == {ID}
        assert redis.lrange("rq:queue:trainings", 0, -1) == [ID.encode()]


class TestHorseWorker:
    def test_a_worker_serves_one_queue_under_a_name_of_its_own(
        self, horse_worker: HorseWorker, context: WorkerContext
    ) -> None:
        other = HorseWorker(JobKind.TRAINING, context, horse_worker.connection, horse_worker.pulse)
        assert horse_worker.queue_names() == ["trainings"]
        assert horse_worker.name != other.name

    def test_a_run_is_given_up_after_three_missed_signs_of_life(
        self, horse_worker: HorseWorker
    ) -> None:
        job = AnyJob.create(JOB_FUNCTION, connection=horse_worker.connection, timeout=3600)
        assert horse_worker.get_heartbeat_ttl(job) == 15

    def test_a_workers_client_waits_for_redis_for_ever(self, context: WorkerContext) -> None:
        client = patient_client(context.settings.redis_url)
        assert client.get_retry().get_retries() < 0  # type: ignore[union-attr]

    def test_work_is_done_in_a_child_and_the_queue_left_clean(
        self, horse_worker: HorseWorker, context: WorkerContext, queue: Queue
    ) -> None:
        context.queue.enqueue(ID, JobKind.TRAINING)  # there is no such row: nothing to do
        run.configure(context, PERFORM)
        assert horse_worker.work(burst=True)
        assert queue.job_ids == []
        assert not AnyJob.exists(ID, connection=context.queue.redis)

    def test_a_worker_on_a_full_disk_does_not_start_the_same_job_over_and_over(
        self,
        horse_worker: HorseWorker,
        context: WorkerContext,
        submit: Submit,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        tries = run.SharedNumber()

        def claim(*_: object) -> None:
            tries.write(tries.read() + 1)
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise OperationalError("UPDATE jobs", {}, full)

        monkeypatch.setattr(run, "claim", claim)
        run.configure(context, PERFORM)
        context.queue.enqueue(submit().id, JobKind.TRAINING)
        assert horse_worker.work(burst=True, max_jobs=3)
        assert tries.read() == 1

    def test_a_forbidden_job_fails_and_the_worker_goes_on(
        self, horse_worker: HorseWorker, context: WorkerContext, queue: Queue
    ) -> None:
        run.configure(context, PERFORM)
        forbidden = "train_01K9ZQ3W8M4V7T2X6B5N0C1DEG"
        queue.enqueue_call("os.abort", job_id=forbidden)
        context.queue.enqueue(ID, JobKind.TRAINING)
        assert horse_worker.work(burst=True)
        assert not AnyJob.exists(forbidden, connection=queue.connection)  # and no row knows it
        assert not AnyJob.exists(ID, connection=context.queue.redis)


class TestEnding:
    def test_how_a_process_ended_is_said_in_words(self) -> None:
        assert _ending(signal.SIGKILL) == "its process was killed by SIGKILL"
        assert _ending(256) == "its process ended with status 1"
        assert _ending(None) == "its process is gone"


class TestEnvironment:
    def test_the_environment_is_set_before_torch_reads_it(self) -> None:
        program = """
import os, sys

class Watchdog:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print(os.environ.get("GOMP_SPINCOUNT"), os.environ.get("PYTORCH_NVML_BASED_CUDA_CHECK"))
            sys.meta_path.remove(self)

sys.meta_path.insert(0, Watchdog())
import workers.__main__
"""
        names = {"GOMP_SPINCOUNT", "PYTORCH_NVML_BASED_CUDA_CHECK"}
        env = {name: value for name, value in os.environ.items() if name not in names}
        said = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        )
        assert said.stdout == "2000 1\n"


class TestCommandLine:
    @pytest.mark.parametrize("command", [partial(main, PERFORM, {}), reconcile.main])
    def test_a_setting_that_does_not_hold_is_named(
        self,
        command: Callable[[], int],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv("SERVAL_DEVICE", "gpu")
        monkeypatch.setattr("sys.argv", ["worker", "audits"])
        assert command() == 1
        assert (
            capsys.readouterr().err == "SERVAL_DEVICE is 'gpu': give auto, cpu, cuda or cuda:N.\n"
        )

    @pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
    def test_a_device_that_is_not_there_is_named_before_any_job_fails_on_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("SERVAL_DEVICE", "cuda")
        assert main(PERFORM, {}, ["audits"]) == 1
        assert "this machine has no CUDA device" in capsys.readouterr().err

    @pytest.mark.parametrize("arguments", [[], ["predictions"], ["audits", "trainings"]])
    def test_a_wrong_command_line_is_told_the_queues(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(PERFORM, {}, arguments) == 2
        assert "audits|trainings" in capsys.readouterr().err

    def test_the_named_queue_is_served(self, monkeypatch: pytest.MonkeyPatch) -> None:
        served: list[JobKind] = []
        monkeypatch.setattr(worker, "serve", lambda kind, *_: served.append(kind))
        monkeypatch.setattr("app.observability.logs.configure", lambda *_: None)
        # What it does to signals would outlive the test, in all processes that later ones start.
        monkeypatch.setattr(worker, "past_ending", lambda: None)
        monkeypatch.setattr(worker, "keep_files_private", lambda: None)
        assert main(PERFORM, {}, ["audits"]) == 0
        assert served == [JobKind.AUDIT]
