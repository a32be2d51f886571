"""A large audit on several workers: the same bytes whoever scores them, and whoever is killed."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from redis import Redis

from app.corpora.tables import Corpus
from app.jobs.states import JobStatus, ShardStatus
from tests.faults.conftest import TINY, Measure
from tests.faults.shared_audits import Auditors, made, shards, under_way
from tests.faults.stack import Stack, until
from tests.speechless import add_corpus, manifest

ATTACKS = [
    {"type": "pgd", "epsilon": [0.05, 0.1], "steps": 40},
    {"type": "noise", "epsilon": [0.1], "draws": 2},
]
LONG = [{"type": "pgd", "epsilon": [0.05, 0.1], "steps": 160}]
"""Four times as long: what Redis lost is missed for four seconds before it is queued again."""
SHARDS = 9
"""Of 144 clips in chunks of sixteen."""
PATIENCE = 240.0


@pytest.fixture(scope="module")
def auditors(stack: Stack) -> Iterator[Auditors]:
    stack.auditor.end()
    auditors = Auditors(stack)
    yield auditors
    auditors.have(0)
    stack.auditor = stack.start_worker("audits")
    stack.wait_for_worker(stack.auditor)


@pytest.fixture(scope="module")
def many(stack: Stack) -> Corpus:
    with stack.sessions() as session:
        return add_corpus(session, stack.storage, manifest(takes=6))


@pytest.fixture(scope="module")
def model(stack: Stack, many: Corpus) -> str:
    job_id = stack.submit(**TINY, corpus=many.id, iterations=2)
    trained = stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE)
    assert trained.model is not None
    return trained.model


@pytest.fixture
def audit(stack: Stack, many: Corpus, model: str) -> Iterator[Any]:
    """`audit(attacks)` submits an audit and gives its id."""

    def audit(attacks: Sequence[dict[str, Any]] = ATTACKS) -> str:
        body = {"model": model, "corpus": many.id, "partition": "all", "attacks": attacks}
        return stack.submit("/v1/audits", **body)

    yield audit
    stack.cancel_all()


@pytest.fixture(scope="module")
def alone(stack: Stack, auditors: Auditors, many: Corpus, model: str) -> dict[str, Any]:
    """What one worker makes of it."""
    auditors.have(1)
    body = {"model": model, "corpus": many.id, "partition": "all", "attacks": ATTACKS}
    job_id = stack.submit("/v1/audits", **body)
    return made(stack, job_id)


class TestWorkers:
    @pytest.mark.parametrize("count", [2, 3])
    def test_several_make_the_same_bytes_as_one_and_leave_nothing_else(
        self, stack: Stack, auditors: Auditors, alone: dict[str, Any], audit: Any, count: int
    ) -> None:
        auditors.have(count)
        job_id = audit()
        assert made(stack, job_id) == alone
        helped = [auditors.helps(worker, job_id) for worker in auditors.workers]
        assert sum(map(bool, helped)) == count - 1, "one holds the job, the others help"
        assert sum(helped) <= SHARDS - 1
        until(lambda: not shards(stack, job_id), 30, "the rows of the shards are gone")
        folder = stack.storage.job_dir(job_id) / "checkpoint"
        until(lambda: not folder.exists(), 30, "what the shards had kept is gone")


class TestKills:
    def test_a_killed_helper_costs_its_shard_an_attempt_and_no_byte(
        self, stack: Stack, auditors: Auditors, alone: dict[str, Any], audit: Any
    ) -> None:
        auditors.have(2)
        job_id = audit()
        under_way(stack, job_id)
        helper = auditors.helper(job_id)
        until(lambda: len(auditors.running()) == 2, 30, "both work")
        os.kill(helper.pid, signal.SIGKILL)
        attempts: dict[int, int] = {}

        def ended() -> bool:
            attempts.update({one.number: one.attempt for one in shards(stack, job_id)})
            return stack.status(job_id) is JobStatus.SUCCEEDED

        until(ended, PATIENCE, "the audit has ended")
        assert made(stack, job_id) == alone
        assert stack.row(job_id).attempt == 1, "the audit itself went on"
        assert sorted(attempts.values())[:-1] == [1] * (SHARDS - 1)
        assert max(attempts.values()) <= 2

    def test_a_killed_holder_costs_an_attempt_at_the_audit_and_no_byte(
        self, stack: Stack, auditors: Auditors, alone: dict[str, Any], audit: Any
    ) -> None:
        auditors.have(2)
        job_id = audit()
        under_way(stack, job_id, done=2)
        done = {one.number for one in shards(stack, job_id) if one.status is ShardStatus.DONE}
        os.kill(auditors.holder(job_id).pid, signal.SIGKILL)
        attempts: dict[int, int] = {}

        def ended() -> bool:
            attempts.update({one.number: one.attempt for one in shards(stack, job_id)})
            return stack.status(job_id) is JobStatus.SUCCEEDED

        until(ended, PATIENCE, "the audit has ended")
        assert made(stack, job_id) == alone
        assert stack.row(job_id).attempt == 2
        assert {attempts[number] for number in done} == {1}, "what was done was not done again"
        assert sorted(attempts.values())[:-1] == [1] * (SHARDS - 1)

    def test_a_stopped_helper_gives_its_shard_back_at_once(
        self, stack: Stack, auditors: Auditors, alone: dict[str, Any], audit: Any, measure: Measure
    ) -> None:
        auditors.have(2)
        job_id = audit()
        under_way(stack, job_id)
        helper = auditors.helper(job_id)
        helper.send(signal.SIGTERM)
        asked = time.monotonic()
        assert helper.wait(15) == 0
        measure("SIGTERM of a helper, s", time.monotonic() - asked, 15.0)
        assert made(stack, job_id) == alone
        assert stack.row(job_id).attempt == 1


class TestCancel:
    def test_ends_the_audit_on_all_workers(
        self, stack: Stack, auditors: Auditors, audit: Any, measure: Measure
    ) -> None:
        auditors.have(2)
        job_id = audit()
        under_way(stack, job_id)
        auditors.helper(job_id)
        asked = time.monotonic()
        assert stack.api.post(f"/v1/audits/{job_id}/cancel").status_code == 200
        stack.until_status(job_id, JobStatus.CANCELLED, seconds=30)
        measure("a sharded audit cancelled, s", time.monotonic() - asked, 1.0)
        until(lambda: not auditors.running(), 30, "no worker works on it")
        measure("cancelled: all workers are free, s", time.monotonic() - asked, 3.0)
        until(lambda: not shards(stack, job_id), 30, "the rows of the shards are gone")
        folder = stack.storage.job_dir(job_id)
        until(lambda: not folder.exists(), 30, "the files are gone")


class TestWiped:
    def test_after_flushall_another_worker_helps_again(
        self, stack: Stack, auditors: Auditors, audit: Any
    ) -> None:
        auditors.have(2)
        job_id = audit(LONG)
        under_way(stack, job_id)
        helper = auditors.helper(job_id)
        with Redis.from_url(stack.valkey.url) as redis:
            redis.flushall()
        before = auditors.helps(helper, job_id)
        made(stack, job_id)
        assert auditors.helps(helper, job_id) > before
        assert stack.row(job_id).attempt == 1
