"""PostgreSQL restarted, killed, cut off and full, while an audit and a training are running."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from app.corpora.tables import Corpus
from app.jobs.states import JobStatus
from tests.faults.conftest import TINY, Measure
from tests.faults.stack import Stack, until
from tests.services import PostgreSQL
from tests.speechless import add_corpus

PATIENCE = 240.0
AWAY_SECONDS = 3.0
"""More than a heartbeat, and less than what makes a worker look dead."""
OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
    " AND pid <> pg_backend_pid() AND application_name <> 'test'"
)


@pytest.fixture(scope="module")
def stack(stack_on_postgresql: Stack) -> Stack:
    return stack_on_postgresql


@pytest.fixture(scope="module")
def corpus(stack: Stack) -> Corpus:
    with stack.sessions() as session:
        return add_corpus(session, stack.storage)


@pytest.fixture(scope="module")
def training(corpus: Corpus) -> dict[str, Any]:
    return {"corpus": corpus.id, **TINY, "iterations": 1000}


@pytest.fixture(scope="module")
def audit(stack: Stack, training: dict[str, Any]) -> dict[str, Any]:
    made = stack.submit(**training | {"iterations": 2})
    model = stack.until_status(made, JobStatus.SUCCEEDED, seconds=PATIENCE).model
    attacks = [{"type": "pgd", "epsilon": [0.05, 0.1], "steps": 40}]
    corpus = training["corpus"]
    return {"model": model, "corpus": corpus, "partition": "all", "attacks": attacks}


@pytest.fixture
def accepted(stack: Stack, training: dict[str, Any], audit: dict[str, Any]) -> Iterator[list[str]]:
    """A training and an audit that are running, and one of each that waits for them."""
    jobs = [stack.submit(**training), stack.submit("/v1/audits", **audit)]
    for job_id in jobs:
        stack.until_status(job_id, JobStatus.RUNNING, seconds=PATIENCE)
    yield [*jobs, stack.submit(**training, seed=1), stack.submit("/v1/audits", **audit)]
    stack.cancel_all()


def check_all_reach_their_results(stack: Stack, accepted: list[str]) -> None:
    for job_id in accepted:
        stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE)
        assert len(stack.events(job_id, "succeeded")) == 1
    assert all(process.running for process in stack.background)


def check_refused(stack: Stack, training: dict[str, Any], why: str) -> None:
    """Nothing is read and nothing accepted, and the answer says why and when to come again."""
    for answer in (stack.api.get("/v1/jobs"), stack.api.post("/v1/trainings", json=training)):
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert why in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) >= 1


def answers(stack: Stack) -> bool:
    return stack.api.get("/v1/jobs").status_code == httpx.codes.OK


class TestRestart:
    def test_costs_no_job_and_none_that_runs_an_attempt(
        self,
        stack: Stack,
        postgresql_server: PostgreSQL,
        accepted: list[str],
        training: dict[str, Any],
        measure: Measure,
    ) -> None:
        attempts = [stack.row(job_id).attempt for job_id in accepted[:2]]
        postgresql_server.stop()
        check_refused(stack, training, "does not answer")
        time.sleep(AWAY_SECONDS)
        postgresql_server.start()
        back = time.monotonic()
        until(lambda: answers(stack), 30, "the API answers again")
        measure("PostgreSQL restarted: the API answers, s", time.monotonic() - back, 5.0)
        check_all_reach_their_results(stack, accepted)
        assert [stack.row(job_id).attempt for job_id in accepted[:2]] == attempts


class TestKilled:
    def test_every_accepted_job_reaches_its_result(
        self,
        stack: Stack,
        postgresql_server: PostgreSQL,
        accepted: list[str],
        training: dict[str, Any],
    ) -> None:
        before = set(stack.unfinished())
        postgresql_server.kill()
        check_refused(stack, training, "does not answer")
        postgresql_server.start()
        until(lambda: answers(stack), 30, "the API answers again")
        assert set(stack.unfinished()) <= before, "what was refused is not there"
        check_all_reach_their_results(stack, accepted)


class TestConnectionsCut:
    """As by a failover: the server is there, but not on the connections that one had."""

    def test_cost_no_job_and_none_that_runs_an_attempt(
        self, stack: Stack, postgresql_server: PostgreSQL, accepted: list[str]
    ) -> None:
        attempts = [stack.row(job_id).attempt for job_id in accepted[:2]]
        statuses = set()
        with psycopg.connect(postgresql_server.url, autocommit=True) as admin:
            for _ in range(10):
                admin.execute(OTHERS)
                statuses.add(stack.api.get("/v1/jobs").status_code)
                time.sleep(0.3)
        # 503 if the connection is cut between the look whether it is good and the query.
        assert statuses in ({200}, {200, 503}), "a connection that was cut is opened again"
        check_all_reach_their_results(stack, accepted)
        # Of those that waited, one may have been claimed by a statement whose answer was cut off.
        assert [stack.row(job_id).attempt for job_id in accepted[:2]] == attempts


class TestNoConnectionLeft:
    def test_is_503_with_its_reason_and_passes(
        self,
        stack: Stack,
        postgresql_server: PostgreSQL,
        accepted: list[str],
        training: dict[str, Any],
        measure: Measure,
    ) -> None:
        before = set(stack.unfinished())
        hoarded = hoard(postgresql_server.url)
        try:
            check_refused(stack, training, "has no connection left")
            ready = stack.api.get("/readyz").json()
            assert [one["field"] for one in ready["errors"]] == ["database"]
            time.sleep(AWAY_SECONDS)
        finally:
            for connection in hoarded:
                connection.close()
        freed = time.monotonic()
        until(lambda: answers(stack), 30, "the API answers again")
        measure("connections are free again: the API answers, s", time.monotonic() - freed, 5.0)
        assert set(stack.unfinished()) <= before, "what was refused is not there"
        check_all_reach_their_results(stack, accepted)


def hoard(url: str) -> list[psycopg.Connection[Any]]:
    """All the connections that the server has: whoever had one has lost it."""
    hoarded = [psycopg.connect(f"{url}?application_name=test", autocommit=True)]
    refused = 0
    while refused < 5:  # whoever was cut off may have been faster
        hoarded[0].execute(OTHERS)
        try:
            hoarded.append(psycopg.connect(f"{url}?application_name=test"))
        except psycopg.OperationalError:
            refused += 1
            time.sleep(0.1)
        else:
            refused = 0
    return hoarded
