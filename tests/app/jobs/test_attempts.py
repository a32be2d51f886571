"""The worker's side: one attempt at a time may write, and a terminal status never changes."""

import threading
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import service
from app.jobs.attempts import Attempt, CancelRequested, Superseded, claim
from app.jobs.states import JobStatus
from app.jobs.tables import Job, JobEvent
from app.persistence.database import now
from tests.app.jobs.conftest import Claim, Make

WRITES: dict[str, Callable[[Attempt], object]] = {
    "status": lambda attempt: attempt.status(),
    "heartbeat": lambda attempt: attempt.heartbeat(),
    "progress": lambda attempt: attempt.progress(1, 2, "clips"),
    "event": lambda attempt: attempt.event("step", {"loss": 1.0}),
    "warn": lambda attempt: attempt.warn("slow"),
    "succeed": lambda attempt: attempt.succeed({"n": 1}),
    "fail": lambda attempt: attempt.fail({"code": "x", "message": "y"}),
    "cancelled": lambda attempt: attempt.cancelled(),
    "release": lambda attempt: attempt.release("SIGTERM"),
}
every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


def fresh(session: Session, job_id: str) -> Job:
    return session.get_one(Job, job_id, populate_existing=True)


def types(session: Session, job_id: str) -> list[str]:
    query = select(JobEvent.type).where(JobEvent.job_id == job_id).order_by(JobEvent.seq)
    return list(session.scalars(query))


class TestClaim:
    def test_a_queued_job_runs_with_the_next_number(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job(model="cnn4-single", request={"a": 1})
        attempt = run(job.id)
        assert (attempt.number, attempt.request, attempt.owner) == (1, {"a": 1}, "local")
        row = fresh(session, job.id)
        assert (row.status, row.attempt) == (JobStatus.RUNNING, 1)
        assert row.started_at is not None
        assert row.heartbeat_at is not None

    def test_one_of_many_that_race_gets_it(
        self, make_job: Make, make_sessions: sessionmaker[Session]
    ) -> None:
        job = make_job()
        start, won = threading.Barrier(8), []

        def race() -> None:
            start.wait()
            won.append(claim(make_sessions, job.id))

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(attempt is not None for attempt in won) == 1

    def test_an_unknown_a_running_and_an_ended_job_give_none(
        self, make_job: Make, make_sessions: sessionmaker[Session], run: Claim
    ) -> None:
        job = make_job()
        assert claim(make_sessions, "audit_unknown") is None
        attempt = run(job.id)
        assert claim(make_sessions, job.id) is None
        attempt.succeed({})
        assert claim(make_sessions, job.id) is None

    def test_the_first_start_is_the_one_that_is_told(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        run(job.id).release("SIGTERM")
        first = fresh(session, job.id).started_at
        assert run(job.id).number == 2
        assert fresh(session, job.id).started_at == first


class TestTelling:
    def test_progress_stands_in_the_row_with_a_guess_of_the_rest(
        self, session: Session, make_job: Make, run: Claim, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = iter([100.0, 110.0])
        watch = SimpleNamespace(monotonic=lambda: next(clock))
        monkeypatch.setattr("app.jobs.attempts.time", watch)  # other threads keep the real one
        job = make_job()
        attempt = run(job.id)
        attempt.progress(20, 100, "clips")
        attempt.progress(40, 100, "clips")  # 20 clips in 10 s: the other 60 take 30 s
        row = fresh(session, job.id)
        assert (row.progress_done, row.progress_total, row.progress_unit) == (40, 100, "clips")
        assert row.progress_eta == pytest.approx(30.0)

    def test_a_heartbeat_is_no_change_that_a_client_sees(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        attempt = run(job.id)
        before = fresh(session, job.id)
        version, beat = before.version, before.heartbeat_at
        session.commit()
        attempt.heartbeat()
        after = fresh(session, job.id)
        assert after.version == version
        assert beat is not None
        assert after.heartbeat_at is not None
        assert after.heartbeat_at > beat

    def test_every_other_write_raises_the_version(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        versions = [job.version]
        attempt = run(job.id)
        for write in ("progress", "event", "warn", "succeed"):
            session.commit()
            versions.append(fresh(session, job.id).version)
            WRITES[write](attempt)
        session.commit()
        versions.append(fresh(session, job.id).version)
        assert versions == sorted(set(versions))

    def test_a_warning_is_kept_once(self, session: Session, make_job: Make, run: Claim) -> None:
        job = make_job(warnings=["old"])
        attempt = run(job.id)
        for text in ("new", "new", "old"):
            attempt.warn(text)
        assert fresh(session, job.id).warnings == ["old", "new"]

    def test_a_loss_of_nan_does_not_break_the_job(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        attempt = run(job.id)
        attempt.event("step", {"loss": float("nan")})
        query = select(JobEvent.data).where(JobEvent.job_id == job.id, JobEvent.type == "step")
        assert session.scalars(query).one() == {"loss": None}


class TestEnding:
    def test_success_publishes_the_result(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        run(job.id).succeed({"n": 3})
        row = fresh(session, job.id)
        assert (row.status, row.result, row.model) == (JobStatus.SUCCEEDED, {"n": 3}, job.model)
        assert row.finished_at is not None
        assert types(session, job.id) == ["queued", "running", "succeeded"]

    def test_what_is_published_with_it_joins_the_result_and_names_the_model(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        run(job.id).succeed({"n": 3}, publish=lambda _: {"model": "model_x"})
        row = fresh(session, job.id)
        assert (row.result, row.model) == ({"n": 3, "model": "model_x"}, "model_x")

    def test_failure_keeps_the_reason(self, session: Session, make_job: Make, run: Claim) -> None:
        job = make_job()
        run(job.id).fail({"code": "corpus_gone", "message": "It was deleted."})
        row = fresh(session, job.id)
        assert row.status is JobStatus.FAILED
        assert row.error == {"code": "corpus_gone", "message": "It was deleted."}

    @every_write
    def test_nothing_is_written_after_the_end(
        self,
        session: Session,
        make_job: Make,
        run: Claim,
        write: Callable[[Attempt], object],
    ) -> None:
        job = make_job()
        attempt = run(job.id)
        attempt.succeed({"n": 1})
        before = fresh(session, job.id).version
        session.commit()
        if write is not WRITES["status"]:
            with pytest.raises(Superseded, match="not the current one"):
                write(attempt)
        assert fresh(session, job.id).version == before
        assert fresh(session, job.id).status is JobStatus.SUCCEEDED


class TestTheFence:
    @every_write
    def test_an_attempt_that_was_thought_dead_may_not_write(
        self,
        session: Session,
        make_job: Make,
        run: Claim,
        write: Callable[[Attempt], object],
    ) -> None:
        job = make_job()
        zombie = run(job.id)
        zombie.release("lost")
        run(job.id)
        before = fresh(session, job.id).version
        session.commit()
        with pytest.raises(Superseded):
            write(zombie)
        assert fresh(session, job.id).version == before
        assert fresh(session, job.id).attempt == 2

    def test_what_is_published_with_a_result_is_undone_without_it(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job, other = make_job(), make_job()
        zombie = run(job.id)
        zombie.release("lost")
        run(job.id)

        def publish(session: Session) -> dict[str, str]:
            session.get_one(Job, other.id).model = "half-made"
            return {"model": "half-made"}

        with pytest.raises(Superseded):
            zombie.succeed({}, publish=publish)
        assert fresh(session, other.id).model is None


class TestCancelling:
    def test_a_cancel_that_came_first_wins_over_success_and_failure(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        attempt = run(job.id)
        service.cancel(session, job.id, owner="local")
        assert attempt.status() is JobStatus.CANCELLING
        for end in ("succeed", "fail"):
            with pytest.raises(CancelRequested):
                WRITES[end](attempt)
        attempt.progress(1, 2)  # what is under way may still be told
        attempt.cancelled()
        row = fresh(session, job.id)
        assert (row.status, row.result, row.error) == (JobStatus.CANCELLED, None, None)
        assert types(session, job.id) == ["queued", "running", "cancelling", "cancelled"]

    def test_nobody_is_cancelled_who_was_not_asked(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        with pytest.raises(Superseded):
            run(job.id).cancelled()
        assert fresh(session, job.id).status is JobStatus.RUNNING

    def test_one_wins_of_a_cancel_and_a_finish_that_race(
        self, session: Session, make_job: Make, run: Claim, make_sessions: sessionmaker[Session]
    ) -> None:
        ends = set()
        for _ in range(30):
            job = make_job()
            attempt, start = run(job.id), threading.Barrier(2)

            def finish(attempt: Attempt = attempt, start: threading.Barrier = start) -> None:
                start.wait()
                try:
                    attempt.succeed({"n": 1})
                except CancelRequested:
                    attempt.cancelled()

            def cancel(job_id: str = job.id, start: threading.Barrier = start) -> None:
                start.wait()
                with make_sessions() as mine:
                    service.cancel(mine, job_id, owner="local")

            threads = [threading.Thread(target=finish), threading.Thread(target=cancel)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            row = fresh(session, job.id)
            assert (row.status is JobStatus.SUCCEEDED) == (row.result is not None)
            told = types(session, job.id)
            assert ("succeeded" in told) != ("cancelled" in told)
            ends.add(row.status)
            session.commit()
        assert ends <= {JobStatus.SUCCEEDED, JobStatus.CANCELLED}


class TestReleasing:
    def test_a_released_job_goes_back_to_the_queue_with_the_reason(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        assert run(job.id).release("SIGTERM") is JobStatus.QUEUED
        assert fresh(session, job.id).status is JobStatus.QUEUED
        query = select(JobEvent.data).where(JobEvent.job_id == job.id).order_by(JobEvent.seq)
        assert session.scalars(query).all()[-1] == {"reason": "SIGTERM"}

    def test_one_that_was_being_cancelled_is_cancelled(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        attempt = run(job.id)
        service.cancel(session, job.id, owner="local")
        assert attempt.release("lost") is JobStatus.CANCELLED

    def test_a_job_with_too_many_attempts_fails_and_says_so(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        run(job.id).release("lost", max_deaths=2)
        assert run(job.id).release("lost again", max_deaths=2) is JobStatus.FAILED
        error = fresh(session, job.id).error
        assert error is not None
        assert error["code"] == "too_many_attempts"
        assert "lost again" in error["message"]

    def test_a_heartbeat_that_came_meanwhile_keeps_it(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        attempt = run(job.id)
        with pytest.raises(Superseded):
            attempt.release("silent", stale_before=now() - timedelta(seconds=10))
        assert fresh(session, job.id).status is JobStatus.RUNNING
        assert attempt.release("silent", stale_before=now()) is JobStatus.QUEUED


class TestEventNumbers:
    def test_writers_that_race_leave_no_two_events_with_one_number(
        self, session: Session, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        attempt = run(job.id)

        def tell() -> None:
            for _ in range(10):
                attempt.event("step")

        threads = [threading.Thread(target=tell) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        query = select(func.count()).where(JobEvent.job_id == job.id, JobEvent.type == "step")
        assert session.scalar(query) == 40
