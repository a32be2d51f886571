"""Running a job: claimed once, done, and ended in the way that it ended."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from app.errors import Invalid, ServalError
from app.jobs import service as jobs
from app.jobs.attempts import Attempt, claim
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.storage import FilesNotVisible
from models.checkpoint import CheckpointError
from models.corpus.manifest import CorpusError
from tests.workers.conftest import Submit
from workers.jobs import PERFORM
from workers.runtime import run as running
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed, JobResult
from workers.runtime.progress import Stopped, Watchdog
from workers.runtime.run import SharedNumber, claimed, describe

Row = Callable[[str], Job]


def work(context: WorkerContext, job: Job) -> None:
    running._run(context, PERFORM, job.id)


@pytest.fixture
def perform(monkeypatch: pytest.MonkeyPatch) -> Callable[[running.Perform], None]:
    """Let trainings be done by something else."""

    def perform(instead: running.Perform) -> None:
        monkeypatch.setitem(PERFORM, JobKind.TRAINING, instead)

    return perform


class TestRun:
    def test_a_job_is_done_and_its_result_published(
        self, context: WorkerContext, submit: Submit, row: Row
    ) -> None:
        job = submit()
        work(context, job)
        done = row(job.id)
        assert done.status is JobStatus.SUCCEEDED
        assert done.result is not None
        assert done.error is None
        assert (done.progress_done, done.progress_total, done.progress_unit) == (4, 4, "iterations")
        assert claimed.read() == done.attempt == 1

    def test_a_job_that_has_ended_is_not_done_again(
        self, context: WorkerContext, submit: Submit, row: Row
    ) -> None:
        job = submit()
        work(context, job)
        before = row(job.id)
        work(context, job)
        assert row(job.id).version == before.version

    def test_nothing_is_done_nor_claimed_for_an_id_without_a_row(
        self, context: WorkerContext, perform: Callable[..., None]
    ) -> None:
        done: list[str] = []
        perform(lambda _context, attempt, _watchdog: done.append(attempt.job_id))
        claimed.write(0)
        running._run(context, PERFORM, "train_01K9ZQ3W8M4V7T2X6B5N0C1DEF")
        assert (done, claimed.read()) == ([], 0)
        with context.sessions() as session:
            assert session.scalar(select(func.count()).select_from(Job)) == 0

    def test_a_cancel_that_comes_during_the_work_wins(
        self, context: WorkerContext, submit: Submit, row: Row, perform: Callable[..., None]
    ) -> None:
        def cancelled_meanwhile(
            place: WorkerContext, attempt: Attempt, watchdog: Watchdog
        ) -> JobResult:
            with place.sessions() as session:
                jobs.cancel(session, attempt.job_id, owner="local")
            return JobResult({"done": True})

        perform(cancelled_meanwhile)
        job = submit()
        work(context, job)
        assert row(job.id).status is JobStatus.CANCELLED
        assert row(job.id).result is None

    def test_what_is_published_with_the_job_goes_back_when_the_cancel_wins(
        self, context: WorkerContext, submit: Submit, row: Row, perform: Callable[..., None]
    ) -> None:
        def cancelled_meanwhile(
            place: WorkerContext, attempt: Attempt, watchdog: Watchdog
        ) -> JobResult:
            def publish(session: Any) -> dict[str, Any]:
                session.add(Job(id=other, kind=JobKind.AUDIT, owner="local", request={}))
                session.flush()
                return {}

            with place.sessions() as session:
                jobs.cancel(session, attempt.job_id, owner="local")
            return JobResult({}, publish)

        other = "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"
        perform(cancelled_meanwhile)
        job = submit()
        work(context, job)
        with context.sessions() as session:
            assert session.get(Job, other) is None

    def test_a_job_that_is_put_down_is_queued_again(
        self, context: WorkerContext, submit: Submit, row: Row, perform: Callable[..., None]
    ) -> None:
        def stopped(place: WorkerContext, attempt: Attempt, watchdog: Watchdog) -> JobResult:
            raise Stopped

        perform(stopped)
        job = submit()
        work(context, job)
        assert row(job.id).status is JobStatus.QUEUED

    def test_an_attempt_that_was_superseded_writes_nothing(
        self, context: WorkerContext, submit: Submit, row: Row, perform: Callable[..., None]
    ) -> None:
        def overtaken(place: WorkerContext, attempt: Attempt, watchdog: Watchdog) -> JobResult:
            attempt.release("it was thought dead")
            claim(place.sessions, attempt.job_id)
            return JobResult({"from": "the first"})

        perform(overtaken)
        job = submit()
        work(context, job)
        assert row(job.id).status is JobStatus.RUNNING
        assert row(job.id).attempt == 2
        assert row(job.id).result is None

    def test_a_database_that_is_away_for_a_moment_does_not_cost_the_result(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        perform: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        succeed, failures = Attempt.succeed, iter([True, True])

        def flaky(self: Attempt, *given: Any, **named: Any) -> None:
            if next(failures, False):
                raise OperationalError("UPDATE", {}, Exception("server closed the connection"))
            succeed(self, *given, **named)

        monkeypatch.setattr(Attempt, "succeed", flaky)
        perform(lambda *_: JobResult({"done": True}))
        job = submit()
        work(context, job)
        assert row(job.id).status is JobStatus.SUCCEEDED

    def test_a_database_that_stays_away_leaves_the_job_to_another_attempt(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        perform: Callable[[running.Perform], None],
    ) -> None:
        def away(*_: object) -> JobResult:
            raise OperationalError("SELECT", {}, Exception("connection refused"))

        perform(away)
        job = submit()
        with pytest.raises(OperationalError):  # the parent of the horse settles the rest
            work(context, job)
        assert row(job.id).status is JobStatus.RUNNING

    def test_outside_of_a_worker_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(running, "_work", None)
        with pytest.raises(RuntimeError, match="outside of a worker"):
            running.run("train_01K9ZQ3W8M4V7T2X6B5N0C1DEF")


class TestWhatTheOwnerIsTold:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (JobFailed("corpus_deleted", "gone"), "corpus_deleted"),
            (CorpusError("one_class", "only anger"), "one_class"),
            (CheckpointError("wrong_shape", "too wide"), "wrong_shape"),
            (Invalid("no such split", code="unknown_split"), "unknown_split"),
            (FilesNotVisible("not to be seen on this host"), "files_not_visible"),
            (FloatingPointError("the loss became nan"), "diverged"),
            (MemoryError(), "out_of_memory"),
            (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory"),
            (RuntimeError("a bug with /secret/path"), "internal_error"),
            (ServalError("damaged at /secret/path"), "internal_error"),
        ],
    )
    def test_each_error_has_its_code(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        perform: Callable[..., None],
        error: Exception,
        code: str,
    ) -> None:
        def fail(*_: object) -> JobResult:
            raise error

        perform(fail)
        job = submit()
        work(context, job)
        failed = row(job.id)
        assert failed.status is JobStatus.FAILED
        assert failed.error is not None
        assert failed.error["code"] == code
        assert "secret" not in failed.error["message"]

    def test_an_unexpected_error_names_the_attempt_for_the_log(self) -> None:
        attempt = Attempt(None, "train_1", 3, JobKind.TRAINING, "local", {})  # type: ignore[arg-type]
        error = describe(ZeroDivisionError("division by zero"), attempt, 60)
        assert "train_1, attempt 3" in error["message"]


class TestSharedNumber:
    def test_a_child_writes_what_its_parent_reads(self) -> None:
        number = SharedNumber()
        child = os.fork()
        if child == 0:
            number.write(7)
            os._exit(0)
        os.waitpid(child, 0)
        assert number.read() == 7
