"""Shards on the queue: given back, found again, and never lost with Redis."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import delete

from app.jobs import service as jobs
from app.jobs import shards
from app.jobs.attempts import Attempt, Superseded, claim
from app.jobs.shards import ShardAttempt, shard_id
from app.jobs.states import JobKind, JobStatus, ShardStatus
from app.jobs.tables import Job, Shard
from tests.workers.conftest import Submit
from tests.workers.runtime.test_reconcile import Looks
from workers.runtime import run as running
from workers.runtime.collect import collect
from workers.runtime.context import WorkerContext
from workers.runtime.last_seen import LOST_SECONDS, SILENT_SECONDS
from workers.runtime.outcome import JobFailed
from workers.runtime.progress import Stopped, Watch, Watchdog
from workers.runtime.recovery import settle
from workers.runtime.shard_recovery import offer
from workers.runtime.shards import do_shards

Row = Callable[[str], Job]
KILLED = "its process was ended by SIGKILL"
PARTS = 4


@pytest.fixture
def attempt(context: WorkerContext, submit: Submit) -> Attempt:
    """At a job of four shards."""
    attempt = claim(context.sessions, submit().id)
    assert attempt is not None
    shards.split(attempt, [{"part": number} for number in range(PARTS)])
    return attempt


@pytest.fixture
def looks(context: WorkerContext, attempt: Attempt) -> Looks:
    """The reconciler, while the job's own attempt lives."""
    looks = Looks(context)
    looks.beating.append(attempt)
    return looks


def claimed(context: WorkerContext, attempt: Attempt, number: int = 0) -> ShardAttempt:
    shard = shards.claim(context.sessions, attempt.job_id, number)
    assert shard is not None
    return shard


def found(context: WorkerContext, attempt: Attempt, number: int = 0) -> Shard:
    return shards.read(context.sessions, attempt.job_id)[number]


def waiting(context: WorkerContext, attempt: Attempt) -> list[int]:
    """The numbers of the shards on the queue."""
    names = context.queue.waiting(JobKind.TRAINING)
    return [n for n in range(PARTS) if shard_id(attempt.job_id, n) in names]


def watched(attempt: Attempt) -> Watchdog:
    return Watchdog(attempt, time_limit_seconds=60)


class TestDoing:
    def test_all_are_done_by_the_job_alone_if_nobody_helps(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        def work(shard: ShardAttempt) -> dict[str, Any]:
            return {"made": shard.work["part"]}

        ended = do_shards(context, attempt, watched(attempt), work, wait=lambda: None)
        assert [one.result for one in ended] == [{"made": number} for number in range(PARTS)]

    def test_ids_that_nobody_came_to_do_not_stay_on_the_queue(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        offered: list[list[int]] = []

        def work(_: ShardAttempt) -> dict[str, Any]:
            offered.append(waiting(context, attempt))
            return {}

        do_shards(context, attempt, watched(attempt), work, wait=lambda: None)
        assert offered[0] == [0, 1]
        assert waiting(context, attempt) == []

    def test_those_of_others_are_waited_for(self, context: WorkerContext, attempt: Attempt) -> None:
        other = claimed(context, attempt, 2)
        waits: list[float] = []

        def wait() -> None:
            waits.append(time.monotonic())
            if len(waits) == 3:
                other.finish({"made": "elsewhere"})

        ended = do_shards(context, attempt, watched(attempt), lambda _: {"made": "here"}, wait)
        assert [one.result for one in ended] == [
            {"made": "elsewhere" if number == 2 else "here"} for number in range(PARTS)
        ]

    def test_one_that_failed_elsewhere_fails_the_job(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        claimed(context, attempt, 2).fail({"code": "clip_damaged", "message": "Clip 7.", "clip": 7})
        with pytest.raises(JobFailed, match=r"Clip 7\.") as failed:
            do_shards(context, attempt, watched(attempt), lambda _: {}, wait=lambda: None)
        assert (failed.value.code, failed.value.details) == ("clip_damaged", {"clip": 7})

    def test_a_stop_gives_the_one_under_way_back(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        def stop(_: ShardAttempt) -> dict[str, Any]:
            raise Stopped

        with pytest.raises(Stopped):
            do_shards(context, attempt, watched(attempt), stop, wait=lambda: None)
        states = {one.status for one in shards.read(context.sessions, attempt.job_id)}
        assert states == {ShardStatus.QUEUED}

    def test_a_job_that_was_given_to_another_attempt_gives_the_one_under_way_back(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        def work(_: ShardAttempt) -> dict[str, Any]:
            attempt.release("thought dead")
            attempt.heartbeat()
            return {}

        with pytest.raises(Superseded):
            do_shards(context, attempt, watched(attempt), work, wait=lambda: None)
        rows = shards.read(context.sessions, attempt.job_id)
        assert {(one.status, one.deaths) for one in rows} == {(ShardStatus.QUEUED, 0)}

    def test_so_does_its_watchdog_while_the_main_thread_computes(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        shard, left = claimed(context, attempt), threading.Event()
        watchdog = Watchdog(attempt, time_limit_seconds=60, leave=left.set)
        with watchdog, watchdog.beating(shard):
            attempt.release("thought dead")
            assert claim(context.sessions, attempt.job_id) is not None
            assert left.wait(10)
        row = found(context, attempt)
        assert (row.status, row.deaths) == (ShardStatus.QUEUED, 0)

    def test_one_that_was_taken_away_is_left_to_whoever_has_it(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        others: list[ShardAttempt] = []

        def work(shard: ShardAttempt) -> dict[str, Any]:
            if not others:
                shard.release("thought dead")
                others.append(claimed(context, attempt, shard.shard))
            return {"made": "here"}

        ended = do_shards(
            context, attempt, watched(attempt), work, lambda: others[0].finish({"made": "there"})
        )
        assert [one.result for one in ended].count({"made": "there"}) == 1

    def test_while_one_is_done_it_is_told_to_be_alive(
        self, context: WorkerContext, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("workers.runtime.progress.BEAT_SECONDS", 0.0)
        shard = claimed(context, attempt)
        first = found(context, attempt).heartbeat_at
        assert first is not None
        with watched(attempt) as watchdog, watchdog.beating(shard):
            until = time.monotonic() + 10
            while found(context, attempt).heartbeat_at == first and time.monotonic() < until:
                time.sleep(0.02)
        beaten = found(context, attempt).heartbeat_at
        assert beaten is not None
        assert beaten > first


class TestHelping:
    """`run` with the id of a shard."""

    def perform(self, context: WorkerContext, attempt: Attempt, work: running.PerformShard) -> None:
        running.configure(context, {}, {JobKind.TRAINING: work})
        running.run(shard_id(attempt.job_id, 1))

    def test_does_it_and_tells_the_job(self, context: WorkerContext, attempt: Attempt) -> None:
        self.perform(context, attempt, lambda _context, shard, _watch: {"made": shard.work["part"]})
        row = found(context, attempt, 1)
        assert (row.status, row.result) == (ShardStatus.DONE, {"made": 1})

    def test_a_failure_is_kept_for_the_job(self, context: WorkerContext, attempt: Attempt) -> None:
        def fail(_context: WorkerContext, _shard: ShardAttempt, _watch: Watch) -> dict[str, Any]:
            raise JobFailed("clip_damaged", "Clip 7.", clip=7)

        self.perform(context, attempt, fail)
        row = found(context, attempt, 1)
        assert row.status is ShardStatus.FAILED
        assert row.error == {"code": "clip_damaged", "message": "Clip 7.", "clip": 7}

    def test_a_stop_gives_it_back(self, context: WorkerContext, attempt: Attempt) -> None:
        def stop(_context: WorkerContext, _shard: ShardAttempt, _watch: Watch) -> dict[str, Any]:
            raise Stopped

        self.perform(context, attempt, stop)
        assert found(context, attempt, 1).status is ShardStatus.QUEUED

    def test_one_that_is_done_already_is_not_done_again(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        claimed(context, attempt, 1).finish({"made": "before"})
        self.perform(context, attempt, lambda *_: {"made": "again"})
        assert found(context, attempt, 1).result == {"made": "before"}


class TestSettling:
    def test_after_a_kill_it_is_queued_again_and_counts_as_a_death(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        shard = claimed(context, attempt)
        settle(context, shard_id(attempt.job_id, 0), shard.number, KILLED)
        row = found(context, attempt)
        assert (row.status, row.deaths) == (ShardStatus.QUEUED, 1)
        assert 0 in waiting(context, attempt)

    def test_what_it_wrote_for_a_job_that_was_deleted_meanwhile_goes(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        shard = claimed(context, attempt)
        with context.sessions.begin() as session:
            session.execute(delete(Job).where(Job.id == attempt.job_id))
        late = context.storage.job_dir(attempt.job_id) / "checkpoint" / "shard-0000"
        late.mkdir(parents=True)
        settle(context, shard_id(attempt.job_id, 0), shard.number, KILLED)
        assert not context.storage.job_dir(attempt.job_id).exists()

    def test_after_its_end_the_next_one_is_offered(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        offer(context, context.queue, attempt.job_id)
        assert waiting(context, attempt) == [0, 1]
        shard = claimed(context, attempt)
        shard.finish({})
        settle(context, shard_id(attempt.job_id, 0), shard.number, "its process ended")
        assert waiting(context, attempt) == [1, 2]

    def test_of_a_job_that_was_cancelled_nothing_is_queued(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        shard = claimed(context, attempt)
        offer(context, context.queue, attempt.job_id)
        with context.sessions() as session:
            jobs.cancel(session, attempt.job_id, owner="local")
        settle(context, shard_id(attempt.job_id, 0), shard.number, KILLED)
        assert 0 not in waiting(context, attempt)
        assert found(context, attempt).deaths == 0

    def test_when_the_job_ends_its_shards_are_forgotten(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        attempt.fail({"code": "x", "message": "y"})
        settle(context, attempt.job_id, attempt.number, "its process ended")
        assert shards.read(context.sessions, attempt.job_id) == []

    def test_those_of_a_job_whose_worker_died_at_its_end_are_collected(
        self, context: WorkerContext, attempt: Attempt
    ) -> None:
        context.storage.job_dir(attempt.job_id).mkdir(parents=True)
        attempt.fail({"code": "x", "message": "y"})
        collect(context)
        assert shards.read(context.sessions, attempt.job_id) == []


class TestReconciler:
    def test_one_whose_worker_is_silent_is_queued_again(
        self, context: WorkerContext, attempt: Attempt, looks: Looks, row: Row
    ) -> None:
        claimed(context, attempt)
        looks(SILENT_SECONDS - 2)
        assert found(context, attempt).status is ShardStatus.RUNNING
        looks(4)
        assert found(context, attempt).status is ShardStatus.QUEUED
        assert row(attempt.job_id).status is JobStatus.RUNNING, "the job itself goes on"
        assert 0 in waiting(context, attempt)

    def test_one_that_beats_is_left_alone(
        self, context: WorkerContext, attempt: Attempt, looks: Looks
    ) -> None:
        shard = claimed(context, attempt)
        for _ in range(10):
            shard.heartbeat()
            looks(2)
        assert found(context, attempt).status is ShardStatus.RUNNING

    def test_those_that_redis_lost_are_queued_again(
        self, context: WorkerContext, attempt: Attempt, looks: Looks, redis_url: str
    ) -> None:
        offer(context, context.queue, attempt.job_id)
        with Redis.from_url(redis_url) as redis:
            redis.flushall()
        looks(LOST_SECONDS - 2)
        assert waiting(context, attempt) == []
        looks(4)
        assert waiting(context, attempt) == [0, 1], "as many as were offered, and not all"

    def test_a_job_whose_shards_nobody_offered_gets_help(
        self, context: WorkerContext, attempt: Attempt, looks: Looks
    ) -> None:
        looks(0)
        assert waiting(context, attempt) == [0, 1]

    def test_one_that_dies_too_often_fails(
        self, context: WorkerContext, attempt: Attempt, looks: Looks
    ) -> None:
        for _ in range(context.settings.max_attempts):
            claimed(context, attempt)
            looks(SILENT_SECONDS + 4)
        row = found(context, attempt)
        assert row.status is ShardStatus.FAILED
        assert row.error is not None
        assert row.error["code"] == "too_many_attempts"
