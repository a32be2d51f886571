"""The reconciler, look by look, on a clock of the test's own."""

import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from app.jobs import service as jobs
from app.jobs.attempts import Attempt, claim
from app.jobs.queue import JobQueue, brief_client
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from tests.workers.conftest import Submit
from workers.runtime import reconcile
from workers.runtime.context import WorkerContext
from workers.runtime.last_seen import LOST_SECONDS, SILENT_SECONDS
from workers.runtime.reconcile import LOCK_NAME, LOOK_SECONDS, Reconciler

Row = Callable[[str], Job]
Told = Callable[[str, str], list[dict[str, Any]]]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Looks:
    """A reconciler and its clock: `looks(10)` is ten seconds of looking every two."""

    def __init__(self, context: WorkerContext) -> None:
        self.clock = Clock()
        self.reconciler = Reconciler(context, clock=self.clock)
        self.beating: list[Attempt] = []

    def __call__(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while True:
            for attempt in self.beating:
                attempt.heartbeat()
            self.reconciler.look()
            if self.clock.now >= until:
                return
            self.clock.now += LOOK_SECONDS


@pytest.fixture
def looks(context: WorkerContext) -> Looks:
    return Looks(context)


@pytest.fixture
def attempt(context: WorkerContext, submit: Submit) -> Attempt:
    attempt = claim(context.sessions, submit().id)
    assert attempt is not None
    return attempt


@pytest.fixture
def away(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerContext]:
    """A context whose Redis does not answer."""
    redis = brief_client("redis://127.0.0.1:1/0", timeout_seconds=0.1)
    yield replace(context, queue=JobQueue(redis))
    redis.close()


def waiting(context: WorkerContext) -> set[str]:
    return context.queue.waiting(JobKind.TRAINING)


class TestQueuedJobs:
    def test_one_that_redis_never_had_is_queued(
        self, context: WorkerContext, submit: Submit, looks: Looks, row: Row
    ) -> None:
        job = submit()
        looks(LOST_SECONDS)
        assert waiting(context) == {job.id}
        assert row(job.id).enqueued_at is not None

    def test_one_that_may_be_on_its_way_is_left_alone(
        self, context: WorkerContext, submit: Submit, looks: Looks
    ) -> None:
        submit()
        looks(LOST_SECONDS - LOOK_SECONDS)
        assert waiting(context) == set()

    def test_one_that_waits_on_the_queue_is_left_alone(
        self, context: WorkerContext, submit: Submit, looks: Looks
    ) -> None:
        job = submit()
        context.queue.enqueue(job.id, JobKind.TRAINING)
        looks(10)
        assert context.queue.redis.lrange("rq:queue:trainings", 0, -1) == [job.id.encode()]

    def test_one_that_is_claimed_just_in_time_is_left_alone(
        self, context: WorkerContext, submit: Submit, looks: Looks
    ) -> None:
        job = submit()
        looks(LOOK_SECONDS)
        attempt = claim(context.sessions, job.id)
        assert attempt is not None
        looks.beating.append(attempt)
        looks(20)
        assert waiting(context) == set()

    def test_every_queued_job_is_queued_again_after_a_flushall(
        self, context: WorkerContext, submit: Submit, looks: Looks
    ) -> None:
        ids = {submit(seed=seed).id for seed in range(3)}
        for job_id in ids:
            context.queue.enqueue(job_id, JobKind.TRAINING)
        looks(2)
        context.queue.redis.flushdb()
        looks(LOST_SECONDS + 2)
        assert waiting(context) == ids

    def test_a_record_of_an_earlier_run_does_not_stand_in_the_way(
        self, context: WorkerContext, submit: Submit, looks: Looks
    ) -> None:
        job = submit()
        context.queue.enqueue(job.id, JobKind.TRAINING)
        context.queue.redis.delete("rq:queue:trainings")  # a worker took it and died
        looks(LOST_SECONDS)
        assert waiting(context) == {job.id}


class TestRunningJobs:
    def test_one_whose_heart_beats_is_left_alone(
        self, attempt: Attempt, looks: Looks, row: Row
    ) -> None:
        looks.beating.append(attempt)
        looks(60)
        assert row(attempt.job_id).status is JobStatus.RUNNING

    def test_one_that_fell_silent_is_queued_again_at_once(
        self, context: WorkerContext, attempt: Attempt, looks: Looks, row: Row, told: Told
    ) -> None:
        looks(SILENT_SECONDS)
        assert row(attempt.job_id).status is JobStatus.QUEUED
        assert waiting(context) == {attempt.job_id}
        assert "not heard of for 8 seconds" in told(attempt.job_id, "queued")[-1]["reason"]

    def test_the_silence_is_what_it_saw_itself_not_what_a_clock_elsewhere_says(
        self, context: WorkerContext, attempt: Attempt, looks: Looks, row: Row
    ) -> None:
        with context.sessions.begin() as session:
            job = session.get_one(Job, attempt.job_id)
            assert job.heartbeat_at is not None
            job.heartbeat_at -= timedelta(hours=1)
        looks(SILENT_SECONDS - LOOK_SECONDS)
        assert row(attempt.job_id).status is JobStatus.RUNNING

    def test_one_that_is_being_cancelled_and_fell_silent_is_cancelled(
        self, context: WorkerContext, attempt: Attempt, looks: Looks, row: Row
    ) -> None:
        with context.sessions() as session:
            jobs.cancel(session, attempt.job_id, owner="local")
        looks(SILENT_SECONDS)
        assert row(attempt.job_id).status is JobStatus.CANCELLED

    def test_one_that_is_lost_again_and_again_fails(
        self, context: WorkerContext, attempt: Attempt, looks: Looks, row: Row
    ) -> None:
        for _ in range(context.settings.max_attempts - 1):
            attempt.release("lost", max_deaths=context.settings.max_attempts)
            assert claim(context.sessions, attempt.job_id) is not None
            attempt.number += 1
        looks(SILENT_SECONDS)
        failed = row(attempt.job_id)
        assert failed.status is JobStatus.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "too_many_attempts"

    def test_one_that_was_put_down_often_has_not_died_often(
        self, context: WorkerContext, attempt: Attempt, looks: Looks, row: Row
    ) -> None:
        for _ in range(context.settings.max_attempts):
            attempt.release("the worker was stopped")
            assert claim(context.sessions, attempt.job_id) is not None
            attempt.number += 1
        looks(SILENT_SECONDS)
        assert row(attempt.job_id).status is JobStatus.QUEUED
        assert row(attempt.job_id).deaths == 1

    def test_silence_counts_anew_after_an_outage_of_the_database(
        self, attempt: Attempt, looks: Looks, row: Row
    ) -> None:
        looks(0)
        for _ in range(6):  # looks that fail: neither heard it, nor could it speak
            looks.clock.now += LOOK_SECONDS
            looks.reconciler.saw_nothing()
        looks(SILENT_SECONDS - LOOK_SECONDS)
        assert row(attempt.job_id).status is JobStatus.RUNNING
        looks(LOOK_SECONDS)
        assert row(attempt.job_id).status is JobStatus.QUEUED

    def test_a_collection_that_fails_does_not_keep_it_from_looking(
        self, attempt: Attempt, looks: Looks, row: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: WorkerContext) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(reconcile, "collect", fail)
        looks(SILENT_SECONDS)
        assert row(attempt.job_id).status is JobStatus.QUEUED


class TestOneAtATime:
    def test_a_second_one_watches_and_takes_over(
        self, context: WorkerContext, submit: Submit, looks: Looks
    ) -> None:
        second = Looks(context)
        looks(0)
        submit()
        second(10)
        assert waiting(context) == set()
        looks.reconciler.leave()
        second(LOST_SECONDS)
        assert len(waiting(context)) == 1

    def test_the_turn_of_one_that_died_expires(self, context: WorkerContext, looks: Looks) -> None:
        looks(0)
        redis: Redis = context.queue.redis
        assert 0 < int(redis.pttl(LOCK_NAME)) <= 10_000

    def test_one_that_lost_the_turn_in_a_flushall_takes_it_again(
        self, context: WorkerContext, submit: Submit, looks: Looks
    ) -> None:
        looks(0)
        context.queue.redis.flushdb()
        job = submit()
        looks(LOST_SECONDS + LOOK_SECONDS)
        assert waiting(context) == {job.id}


class TestWithoutRedis:
    def test_what_needs_none_goes_on(
        self, away: WorkerContext, context: WorkerContext, attempt: Attempt, row: Row
    ) -> None:
        with context.sessions() as session:
            jobs.cancel(session, attempt.job_id, owner="local")
        Looks(away)(SILENT_SECONDS)
        assert row(attempt.job_id).status is JobStatus.CANCELLED

    def test_what_was_lost_meanwhile_is_queued_when_it_is_back(
        self, away: WorkerContext, context: WorkerContext, attempt: Attempt, row: Row, looks: Looks
    ) -> None:
        Looks(away)(SILENT_SECONDS)
        assert row(attempt.job_id).status is JobStatus.QUEUED
        looks(LOST_SECONDS)
        assert waiting(context) == {attempt.job_id}


class TestProcess:
    def test_the_process_is_small_because_it_does_without_torch(self) -> None:
        look = (
            "import sys, workers.runtime.reconcile;"
            "print(sorted({'torch', 'numpy'} & set(sys.modules)))"
        )
        said = subprocess.run([sys.executable, "-c", look], capture_output=True, check=True)
        assert said.stdout == b"[]\n"
