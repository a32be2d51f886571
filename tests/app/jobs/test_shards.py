"""The parts of a job: each is one attempt's at a time, and goes on only with its job."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.jobs import service, shards
from app.jobs.attempts import Attempt, Superseded
from app.jobs.shards import ShardAttempt, ShardLost, parse_shard_id, shard_id
from app.jobs.states import JobStatus, ShardStatus
from app.jobs.tables import Shard
from app.persistence.database import now
from tests.app.jobs.conftest import Claim, Make

Sessions = sessionmaker[Session]
WORKS = [{"part": number} for number in range(5)]
WRITES: dict[str, Callable[[ShardAttempt], object]] = {
    "status": lambda shard: shard.status(),
    "heartbeat": lambda shard: shard.heartbeat(),
    "progress": lambda shard: shard.progress(1),
    "finish": lambda shard: shard.finish({"n": 1}),
    "fail": lambda shard: shard.fail({"code": "x", "message": "y"}),
    "release": lambda shard: shard.release("SIGTERM"),
}


@pytest.fixture
def attempt(make_job: Make, run: Claim) -> Attempt:
    """At a job that is split."""
    attempt = run(make_job(request={"a": 1}).id)
    shards.split(attempt, WORKS)
    return attempt


def claimed(attempt: Attempt, number: int = 0) -> ShardAttempt:
    shard = shards.claim(attempt.sessions, attempt.job_id, number)
    assert shard is not None
    return shard


def row(attempt: Attempt, number: int = 0) -> Shard:
    return shards.read(attempt.sessions, attempt.job_id)[number]


class TestId:
    def test_names_the_job_and_the_number(self, attempt: Attempt) -> None:
        assert parse_shard_id(shard_id(attempt.job_id, 12)) == (attempt.job_id, 12)

    @pytest.mark.parametrize("text", ["", "audit_x-0001", "x-0001", "../audit-0001", "a" * 300])
    def test_of_nothing_else_is_one(self, attempt: Attempt, text: str) -> None:
        assert parse_shard_id(text) is None
        assert parse_shard_id(attempt.job_id) is None
        assert parse_shard_id(f"{attempt.job_id}-1") is None
        assert parse_shard_id(f"{attempt.job_id}-0001\n") is None


class TestSplit:
    def test_makes_a_row_of_each_part(self, attempt: Attempt) -> None:
        found = shards.read(attempt.sessions, attempt.job_id)
        assert [(one.number, one.work, one.status) for one in found] == [
            (number, {"part": number}, ShardStatus.QUEUED) for number in range(5)
        ]

    def test_those_of_an_earlier_attempt_stay(self, attempt: Attempt, run: Claim) -> None:
        claimed(attempt).finish({"n": 1})
        attempt.release("SIGTERM")
        shards.split(run(attempt.job_id), [{"part": "other"}])
        assert row(attempt).result == {"n": 1}
        assert len(shards.read(attempt.sessions, attempt.job_id)) == 5

    def test_by_an_attempt_that_has_the_job_no_more_is_refused(
        self, make_job: Make, run: Claim
    ) -> None:
        attempt = run(make_job().id)
        attempt.release("SIGTERM")
        run(attempt.job_id)
        with pytest.raises(Superseded):
            shards.split(attempt, WORKS)
        assert shards.read(attempt.sessions, attempt.job_id) == []


class TestClaim:
    def test_starts_the_next_attempt_with_what_the_job_asks(self, attempt: Attempt) -> None:
        shard = claimed(attempt, 3)
        assert (shard.shard, shard.number, shard.work) == (3, 1, {"part": 3})
        assert (shard.owner, shard.request) == ("local", {"a": 1})
        shard.release("SIGTERM")
        assert claimed(attempt, 3).number == 2

    def test_of_one_that_runs_gets_nothing(self, attempt: Attempt) -> None:
        claimed(attempt)
        assert shards.claim(attempt.sessions, attempt.job_id, 0) is None

    def test_goes_on_while_the_job_waits_for_its_next_attempt(self, attempt: Attempt) -> None:
        attempt.release("SIGTERM")
        assert claimed(attempt).status() is JobStatus.RUNNING

    def test_of_a_job_that_was_cancelled_gets_nothing(
        self, attempt: Attempt, session: Session
    ) -> None:
        service.cancel(session, attempt.job_id, owner="local")
        assert shards.claim(attempt.sessions, attempt.job_id, 0) is None
        assert shards.claim_any(attempt.sessions, attempt.job_id) is None

    def test_of_any_takes_those_last_that_are_on_the_queue(self, attempt: Attempt) -> None:
        assert shards.take_offers(attempt.sessions, attempt.job_id, workers=2) == [0, 1]
        taken = []
        while (shard := shards.claim_any(attempt.sessions, attempt.job_id)) is not None:
            taken.append(shard.shard)
        assert taken == [4, 3, 2, 1, 0]


class TestWrites:
    @pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
    def test_of_an_attempt_that_lost_the_shard_are_refused(
        self, attempt: Attempt, write: Callable[[ShardAttempt], object]
    ) -> None:
        old = claimed(attempt)
        old.release("thought dead")
        new = claimed(attempt)
        with pytest.raises(ShardLost):
            write(old)
        assert row(attempt).attempt == new.number
        assert row(attempt).status is ShardStatus.RUNNING

    def test_a_finish_counts_once(self, attempt: Attempt) -> None:
        shard = claimed(attempt)
        shard.finish({"n": 1})
        with pytest.raises(ShardLost):
            shard.finish({"n": 2})
        assert row(attempt).result == {"n": 1}

    def test_its_status_is_that_of_the_job(self, attempt: Attempt, session: Session) -> None:
        shard = claimed(attempt)
        service.cancel(session, attempt.job_id, owner="local")
        found = [shard.status()]
        attempt.cancelled()
        found.append(shard.status())
        assert found == [JobStatus.CANCELLING, JobStatus.CANCELLED]

    def test_one_that_is_to_end_early_is_told_so_and_so_are_later_ones(
        self, attempt: Attempt
    ) -> None:
        shard = claimed(attempt)
        shards.end_early(attempt.sessions, attempt.job_id)
        told = [shard.ending]
        shard.status()
        told.append(shard.ending)
        assert told == [False, True]
        assert claimed(attempt, 1).ending


class TestRelease:
    def test_after_too_many_deaths_fails_the_shard_and_says_why(self, attempt: Attempt) -> None:
        assert claimed(attempt).release("SIGKILL", max_deaths=2) is ShardStatus.QUEUED
        assert claimed(attempt).release("SIGTERM") is ShardStatus.QUEUED  # which is no death
        assert claimed(attempt).release("SIGKILL", max_deaths=2) is ShardStatus.FAILED
        error = row(attempt).error
        assert error is not None
        assert error["code"] == "too_many_attempts"
        assert "2 times; last: SIGKILL" in error["message"]

    def test_of_one_that_beat_meanwhile_changes_nothing(self, attempt: Attempt) -> None:
        shard = claimed(attempt)
        before = now() - timedelta(seconds=5)
        with pytest.raises(ShardLost):
            shard.release("silent", stale_before=before)
        assert row(attempt).status is ShardStatus.RUNNING


class TestOffers:
    def test_are_as_many_as_keep_the_workers_busy(self, attempt: Attempt) -> None:
        held = claimed(attempt, 4)
        assert shards.take_offers(attempt.sessions, attempt.job_id, workers=3) == [0, 1]
        assert shards.take_offers(attempt.sessions, attempt.job_id, workers=3) == []
        claimed(attempt, 0)
        assert shards.take_offers(attempt.sessions, attempt.job_id, workers=3) == []
        held.finish({})
        assert shards.take_offers(attempt.sessions, attempt.job_id, workers=3) == [2]

    def test_one_that_was_given_back_is_offered_again(self, attempt: Attempt) -> None:
        assert shards.take_offers(attempt.sessions, attempt.job_id, workers=1) == [0]
        claimed(attempt, 0).release("SIGTERM")
        assert shards.take_offers(attempt.sessions, attempt.job_id, workers=1) == [0]

    def test_end_with_the_job(self, attempt: Attempt, session: Session) -> None:
        service.cancel(session, attempt.job_id, owner="local")
        assert shards.take_offers(attempt.sessions, attempt.job_id, workers=9) == []


class TestForget:
    def test_takes_those_of_ended_jobs_alone(
        self, attempt: Attempt, make_job: Make, run: Claim, session: Session
    ) -> None:
        other = run(make_job().id)
        shards.split(other, WORKS)
        attempt.succeed({})
        shards.forget(session, [attempt.job_id, other.job_id])
        session.commit()
        assert shards.read(attempt.sessions, attempt.job_id) == []
        assert len(shards.read(attempt.sessions, other.job_id)) == 5
