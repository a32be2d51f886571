"""The watchdog of a running job: it beats, and ends the job when it must end."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from app.jobs import service as jobs
from app.jobs.attempts import Attempt, claim
from app.jobs.states import JobStatus
from app.jobs.tables import Job
from tests.workers.conftest import Submit
from workers.runtime import progress
from workers.runtime.context import WorkerContext
from workers.runtime.progress import Stopped, Watchdog

Row = Callable[[str], Job]


class Clock:
    """In the place of the module `time`."""

    now = 0.0
    sleep = staticmethod(time.sleep)

    def monotonic(self) -> float:
        return self.now


class Left(threading.Event):
    """Set when the watchdog would have ended the process."""


@pytest.fixture
def left() -> Left:
    return Left()


@pytest.fixture
def attempt(context: WorkerContext, submit: Submit) -> Attempt:
    attempt = claim(context.sessions, submit().id)
    assert attempt is not None
    return attempt


@pytest.fixture
def watchdog(attempt: Attempt, left: Left) -> Iterator[Watchdog]:
    with Watchdog(attempt, time_limit_seconds=60, leave=left.set) as watchdog:
        yield watchdog


class TestWatchdog:
    def test_a_cancel_ends_the_job_within_a_second_whatever_the_main_thread_does(
        self, context: WorkerContext, attempt: Attempt, watchdog: Watchdog, left: Left, row: Row
    ) -> None:
        with context.sessions() as session:
            jobs.cancel(session, attempt.job_id, owner="local")
        assert left.wait(timeout=10)
        cancelled = row(attempt.job_id)
        assert cancelled.status is JobStatus.CANCELLED
        assert cancelled.finished_at is not None

    def test_an_attempt_that_lost_its_job_leaves_it_alone(
        self, context: WorkerContext, attempt: Attempt, watchdog: Watchdog, left: Left, row: Row
    ) -> None:
        attempt.release("thought dead")
        assert claim(context.sessions, attempt.job_id) is not None
        assert left.wait(timeout=10)
        assert row(attempt.job_id).status is JobStatus.RUNNING
        assert row(attempt.job_id).attempt == 2

    def test_a_job_that_was_given_back_is_left(
        self, attempt: Attempt, watchdog: Watchdog, left: Left, row: Row
    ) -> None:
        attempt.release("thought dead")
        assert left.wait(timeout=10)
        assert row(attempt.job_id).status is JobStatus.QUEUED

    def test_the_heart_beats_while_the_main_thread_is_silent(
        self, attempt: Attempt, watchdog: Watchdog, row: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "BEAT_SECONDS", 0.1)
        before = row(attempt.job_id)
        until = time.monotonic() + 20
        while row(attempt.job_id).heartbeat_at == before.heartbeat_at:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert row(attempt.job_id).version == before.version, "a heartbeat is no news"

    def test_a_job_over_its_time_fails_and_names_the_limit(
        self, attempt: Attempt, left: Left, row: Row
    ) -> None:
        with Watchdog(attempt, time_limit_seconds=0.3, leave=left.set):
            assert left.wait(timeout=10)
        failed = row(attempt.job_id)
        assert failed.status is JobStatus.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "time_limit"
        assert "0.3" in failed.error["message"]

    def test_a_main_thread_that_does_not_come_back_loses_the_job_to_its_last_checkpoint(
        self,
        attempt: Attempt,
        watchdog: Watchdog,
        left: Left,
        row: Row,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(progress, "GRACE_SECONDS", 0.1)
        watchdog.stop()
        assert left.wait(timeout=10)
        assert row(attempt.job_id).status is JobStatus.QUEUED

    def test_a_database_that_is_away_ends_nothing(
        self, attempt: Attempt, watchdog: Watchdog, left: Left, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = threading.Event()

        def away(self: Attempt) -> JobStatus:
            asked.set()
            raise OperationalError("SELECT", {}, Exception("connection refused"))

        monkeypatch.setattr(Attempt, "status", away)
        assert asked.wait(timeout=10)
        assert not left.wait(timeout=0.5)

    def test_a_job_lives_while_its_result_is_published_and_only_the_main_thread_may_end_it(
        self, attempt: Attempt, left: Left, row: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock()
        monkeypatch.setattr("workers.runtime.progress.time", clock)
        heartbeat, beats = Attempt.heartbeat, list[Attempt]()

        def noted(beating: Attempt) -> None:
            beats.append(beating)
            heartbeat(beating)

        def two_looks() -> None:
            """A minute before each: the job is over its time, and a heartbeat is due."""
            enough, until = len(beats) + 2, time.monotonic() + 20
            while len(beats) < enough:
                assert not left.is_set()
                assert time.monotonic() < until
                clock.now += 61
                time.sleep(0.05)

        monkeypatch.setattr(Attempt, "heartbeat", noted)
        with Watchdog(attempt, time_limit_seconds=60, leave=left.set) as watchdog:
            watchdog.finish()
            before = row(attempt.job_id).heartbeat_at
            two_looks()
            assert row(attempt.job_id).heartbeat_at != before
            attempt.succeed({})
            two_looks()
            assert not left.is_set()
        assert row(attempt.job_id).status is JobStatus.SUCCEEDED

    def test_nothing_is_watched_any_more_after_the_work(
        self, attempt: Attempt, left: Left, row: Row
    ) -> None:
        with Watchdog(attempt, time_limit_seconds=60, leave=left.set):
            pass
        attempt.succeed({})
        assert not left.wait(timeout=0.6)
        assert row(attempt.job_id).status is JobStatus.SUCCEEDED


class TestWhatTheMainThreadSays:
    def test_the_main_thread_learns_that_it_is_to_stop(self, watchdog: Watchdog) -> None:
        watchdog.check()
        watchdog.stop()
        with pytest.raises(Stopped):
            watchdog.check()

    def test_progress_is_told_twice_a_second_and_the_last_always(
        self, attempt: Attempt, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[Any] = []
        monkeypatch.setattr(Attempt, "progress", lambda self, *given, **_: told.append(given))
        for done in range(1, 51):
            watchdog.progress(done, 50, "iterations")
        assert (told[0], told[-1]) == ((1, 50, "iterations"), (50, 50, "iterations"))
        assert len(told) < 10

    def test_a_new_unit_is_told_at_once_and_begins_a_new_guess(
        self, attempt: Attempt, watchdog: Watchdog, row: Row
    ) -> None:
        watchdog.progress(0, 10, "clips")
        time.sleep(0.1)
        watchdog.progress(10, 10, "clips")
        watchdog.progress(2, 1000, "artifacts")
        found = row(attempt.job_id)
        assert (found.progress_done, found.progress_unit) == (2, "artifacts")
        assert found.progress_eta is None

    def test_progress_comes_with_a_guess_of_the_time_left(
        self, attempt: Attempt, watchdog: Watchdog, row: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "REPORT_SECONDS", 0)
        watchdog.progress(1, 10, "iterations")
        time.sleep(0.1)
        watchdog.progress(2, 10, "iterations")
        eta = row(attempt.job_id).progress_eta
        assert eta is not None
        assert timedelta(seconds=eta) >= timedelta(seconds=0.7)
