"""What a worker does when its horse has ended, however it ended."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rq.job import Job as AnyJob

from app.audits import files
from app.jobs import service as jobs
from app.jobs.attempts import Attempt, claim
from app.jobs.queue import JobQueue
from app.jobs.service import Submission
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from tests.recorded import record
from tests.workers.conftest import Submit
from workers.runtime.context import WorkerContext
from workers.runtime.recovery import settle

Row = Callable[[str], Job]
KILLED = "its process was killed by SIGKILL"


def waiting(context: WorkerContext, kind: JobKind = JobKind.TRAINING) -> set[str]:
    return context.queue.waiting(kind)


class TestSettle:
    def test_a_job_whose_horse_was_killed_is_queued_again_at_once(
        self, context: WorkerContext, submit: Submit, row: Row
    ) -> None:
        job = submit()
        attempt = claim(context.sessions, job.id)
        assert attempt is not None
        settle(context, job.id, attempt.number, KILLED)
        assert row(job.id).status is JobStatus.QUEUED
        assert waiting(context) == {job.id}

    def test_another_workers_attempt_is_left_alone(
        self, context: WorkerContext, submit: Submit, row: Row
    ) -> None:
        job = submit()
        assert claim(context.sessions, job.id) is not None
        settle(context, job.id, 0, "its process ended with status 0")
        assert row(job.id).status is JobStatus.RUNNING
        assert waiting(context) == set()

    def test_a_job_that_its_horse_never_claimed_is_left_to_the_reconciler(
        self, context: WorkerContext, submit: Submit, row: Row
    ) -> None:
        """What ends a horse that early ends the next one too, and no count of attempts stops it."""
        job = submit()
        settle(context, job.id, 0, KILLED)
        assert row(job.id).status is JobStatus.QUEUED
        assert waiting(context) == set()

    def test_a_job_that_was_put_down_is_queued(
        self, context: WorkerContext, submit: Submit, row: Row
    ) -> None:
        job = submit()
        attempt = claim(context.sessions, job.id)
        assert attempt is not None
        attempt.release("the worker was stopped")
        settle(context, job.id, attempt.number, "its process ended with status 0")
        assert waiting(context) == {job.id}

    def test_a_job_that_has_ended_leaves_neither_checkpoint_nor_record(
        self, context: WorkerContext, submit: Submit
    ) -> None:
        job = submit()
        context.queue.enqueue(job.id, JobKind.TRAINING)
        attempt = claim(context.sessions, job.id)
        assert attempt is not None
        folder = context.checkpoint_dir(job.id)
        folder.mkdir(parents=True)
        attempt.succeed({})
        settle(context, job.id, attempt.number, "its process ended with status 0")
        assert not folder.exists()
        assert not AnyJob.exists(job.id, connection=context.queue.redis)

    def test_jobs_that_it_caused_are_queued(self, context: WorkerContext, submit: Submit) -> None:
        job = submit()
        attempt = claim(context.sessions, job.id)
        assert attempt is not None
        with context.sessions() as session:
            child = record(session, Submission(JobKind.AUDIT, "local", {}, parent_id=job.id))
        attempt.succeed({})
        settle(context, job.id, attempt.number, "its process ended with status 0")
        assert waiting(context, JobKind.AUDIT) == {child.id}

    def test_a_job_without_a_row_is_forgotten_by_redis_and_not_queued(
        self, context: WorkerContext
    ) -> None:
        job_id = "train_01K9ZQ3W8M4V7T2X6B5N0C1DEF"
        context.queue.enqueue(job_id, JobKind.TRAINING)
        settle(context, job_id, 1, KILLED)
        assert waiting(context) == set()
        assert not AnyJob.exists(job_id, connection=context.queue.redis)

    def test_records_torn_by_an_outage_do_not_stand_in_the_way(
        self, context: WorkerContext, submit: Submit
    ) -> None:
        job, redis = submit(), context.queue.redis
        context.queue.enqueue(job.id, JobKind.TRAINING)
        attempt = claim(context.sessions, job.id)
        assert attempt is not None
        redis.hset(f"rq:job:{job.id}", "status", "started")
        redis.zadd(f"rq:executions:{job.id}", {"abc": 2e9})
        redis.hset(f"rq:execution:{job.id}:abc", "last_heartbeat", 1)
        redis.zadd("rq:wip:trainings", {f"{job.id}:abc": 2e9})
        attempt.succeed({})
        settle(context, job.id, attempt.number, "its process ended with status 0")
        assert not AnyJob.exists(job.id, connection=context.queue.redis)
        assert redis.zcard("rq:wip:trainings") == 0

    def test_a_bug_in_it_leaves_the_job_to_the_reconciler_and_the_worker_alive(
        self, context: WorkerContext, submit: Submit, row: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        met: list[str] = []

        def bug(_queue: JobQueue, job_id: str) -> None:
            met.append(job_id)
            raise KeyError("created_at")

        monkeypatch.setattr(JobQueue, "forget", bug)
        job = submit()
        attempt = claim(context.sessions, job.id)
        assert attempt is not None
        settle(context, job.id, attempt.number, KILLED)
        assert met == [job.id]
        assert row(job.id).status is JobStatus.QUEUED
        assert waiting(context) == set()  # as the reconciler will see


class TestFilesOfAnAuditThatHasEnded:
    @pytest.fixture
    def audit(self, context: WorkerContext) -> Attempt:
        """The second attempt of an audit of uploaded clips; both have published findings."""
        with context.sessions() as session:
            job_id = record(session, Submission(JobKind.AUDIT, "local", {})).id
        first = claim(context.sessions, job_id)
        assert first is not None
        first.release("its worker was not heard of")
        attempt = claim(context.sessions, job_id)
        assert attempt is not None
        for number in (1, 2):
            files.attempt_dir(context.storage, job_id, number).mkdir(parents=True)
        for folder in (
            files.inputs_dir(context.storage, job_id),
            context.checkpoint_dir(job_id),
        ):
            folder.mkdir()
        return attempt

    def left(self, context: WorkerContext, attempt: Attempt) -> set[str]:
        settle(context, attempt.job_id, attempt.number, "its process ended with status 0")
        folder: Path = context.storage.job_dir(attempt.job_id)
        return {path.name for path in folder.glob("*")}

    def test_the_clips_and_what_counts_stay_of_one_that_succeeded(
        self, context: WorkerContext, audit: Attempt
    ) -> None:
        audit.succeed({})
        assert self.left(context, audit) == {"inputs", "attempt-0002"}

    def test_nothing_stays_of_one_whose_cancel_won_when_it_had_published(
        self, context: WorkerContext, audit: Attempt
    ) -> None:
        with context.sessions() as session:
            jobs.cancel(session, audit.job_id, owner="local")
        audit.cancelled()
        assert self.left(context, audit) == set()

    def test_nothing_stays_of_one_that_failed(self, context: WorkerContext, audit: Attempt) -> None:
        audit.fail({"code": "clip_damaged", "message": "Clip 3 cannot be read any more."})
        assert self.left(context, audit) == set()

    def test_all_files_stay_of_one_that_goes_on(
        self, context: WorkerContext, audit: Attempt
    ) -> None:
        audit.release("the worker was stopped")
        assert len(self.left(context, audit)) == 4
