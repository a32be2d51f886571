"""Alive, ready, and how it goes."""

import asyncio
import errno
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq import Worker

from app.errors import Unavailable
from app.jobs.queue import brief_client
from app.migrations import check_revision
from app.observability import health
from app.observability.health import Readiness, Seen
from app.persistence.database import connect
from tests.app.state import state

Register = Callable[..., None]

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
"""What Prometheus 3 sends."""


@pytest.fixture
def register(redis_url: str) -> Iterator[Register]:
    """Makes Redis know a worker of each of the queues, as RQ does."""
    with Redis.from_url(redis_url) as redis:

        def register(*queues: str) -> None:
            for queue in queues:
                worker: Any = Worker([queue], connection=redis)
                worker.register_birth()

        yield register


class TestHealthz:
    def test_a_process_that_answers_is_alive(self, client: TestClient) -> None:
        assert client.get("/healthz").json() == {"status": "alive"}


class TestHead:
    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
    def test_monitors_that_want_no_body_are_answered(self, client: TestClient, path: str) -> None:
        answer = client.head(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == client.get(path).headers["content-type"]

    def test_what_is_not_ready_is_503_to_them_too(self, app: FastAPI, client: TestClient) -> None:
        state(app).readiness.checks["never"] = lambda: (_ for _ in ()).throw(RuntimeError("no"))
        assert client.head("/readyz").status_code == 503


class TestReadyz:
    def test_every_part_that_is_ready_is_named(self, client: TestClient) -> None:
        answer = client.get("/readyz")
        assert answer.status_code == 200
        assert {"database", "queue"} <= answer.json()["checks"].keys()

    def test_the_service_is_ready_while_each_queue_has_a_worker(
        self, client: TestClient, register: Register
    ) -> None:
        register("audits", "trainings")
        assert client.get("/readyz").json()["workers"] == {"audits": 1, "trainings": 1}
        assert client.get("/readyz").json()["status"] == "ready"

    def test_a_queue_without_a_worker_is_named_and_the_answer_degraded_and_200(
        self, client: TestClient, register: Register
    ) -> None:
        register("audits")
        answer = client.get("/readyz")
        assert answer.status_code == 200  # other instances have no other workers
        assert answer.json()["status"] == "degraded"
        assert answer.json()["workers"] == {"audits": 1, "trainings": 0}

    def test_a_part_that_is_not_ready_is_503_with_the_reason(
        self, app: FastAPI, client: TestClient
    ) -> None:
        def broken() -> None:
            raise Unavailable("The disk is full.")

        state(app).readiness.checks["storage"] = broken
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["code"] == "not_ready"
        assert answer.json()["errors"][0]["field"] == "storage"
        assert "The disk is full." in answer.json()["detail"]

    def test_what_an_exception_says_is_for_the_log(self, app: FastAPI, client: TestClient) -> None:
        """Anybody may ask, and the words may hold addresses, paths and statements."""

        def broken() -> None:
            raise OSError(errno.EIO, "Input/output error", "/srv/secret/staging")

        state(app).readiness.checks["storage"] = broken
        answer = client.get("/readyz")
        assert answer.status_code == 503
        told = "it failed with OSError; the service's log says more"
        assert answer.json()["detail"] == f"Not ready: storage: {told}"
        assert answer.json()["errors"][0]["message"] == told

    def test_a_full_disk_is_told_as_such(self, app: FastAPI, client: TestClient) -> None:
        def full() -> None:
            raise OSError(errno.ENOSPC, "No space left on device", "/srv/secret/staging")

        state(app).readiness.checks["storage"] = full
        assert client.get("/readyz").json()["detail"] == "Not ready: storage: its disk is full"

    def test_a_database_that_is_away_is_named_without_its_address(
        self, app: FastAPI, client: TestClient
    ) -> None:
        away = connect("postgresql://serval:hush@127.0.0.1:1/serval")
        state(app).readiness.checks["database"] = partial(check_revision, away)
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "database: it failed with OperationalError" in answer.json()["detail"]
        assert "127.0.0.1" not in answer.text

    def test_alive_stays_alive_while_not_ready(self, app: FastAPI, client: TestClient) -> None:
        state(app).engine.dispose()
        state(app).readiness.checks["never"] = lambda: (_ for _ in ()).throw(RuntimeError("no"))
        assert client.get("/healthz").status_code == 200


class TestReadiness:
    """One result for all: anybody may ask, and a check may take seconds."""

    def test_the_checks_run_once_for_all_who_wait_for_them(self) -> None:
        done, ran = threading.Event(), []

        def slow() -> None:
            ran.append(threading.current_thread())
            assert done.wait(60)
            raise Unavailable("Redis is silent.")

        async def probes() -> list[Seen]:
            readiness = Readiness({"queue": slow})
            asking = [asyncio.create_task(readiness.look()) for _ in range(400)]
            await asyncio.sleep(0)  # each has asked now
            done.set()
            return await asyncio.gather(*asking)

        assert asyncio.run(probes()) == [Seen({"queue": "Redis is silent."}, {})] * 400
        assert len(ran) == 1

    def test_their_result_counts_for_a_second(self) -> None:
        now, ran = [100.0], []
        readiness = Readiness({"queue": lambda: ran.append(now[0])}, now=lambda: now[0])
        for now[0] in (100.0, 100.5, 100.99, 101.0, 101.99, 102.5):
            assert asyncio.run(readiness.look()) == Seen({}, {})
        assert ran == [100.0, 101.0, 102.5]

    def test_probes_share_it(
        self, app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "BELIEVED_SECONDS", 1e9)
        ran: list[None] = []
        state(app).readiness.checks["storage"] = lambda: ran.append(None)
        assert [client.get("/readyz").status_code for _ in range(3)] == [200] * 3
        assert len(ran) == 1


class TestMetrics:
    def test_requests_are_counted_by_route_and_jobs_by_status(self, client: TestClient) -> None:
        client.get("/v1/jobs/audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF")
        families = text_string_to_metric_families(client.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples]
        requests = {
            (s.labels["route"], s.labels["status"]): s.value
            for s in samples
            if s.name == "serval_http_requests_total"
        }
        assert requests["/v1/jobs/{job_id}", "404"] == 1
        jobs = {(s.labels["kind"], s.labels["status"]) for s in samples if s.name == "serval_jobs"}
        assert ("training", "queued") in jobs

    @pytest.mark.parametrize(
        ("accept", "content_type"),
        [
            (None, "text/plain; version=0.0.4"),
            ("*/*", "text/plain; version=0.0.4"),
            ("text/html, */*;q=0.1", "text/plain; version=0.0.4"),
            ("text/plain;version=0.0.4", "text/plain; version=0.0.4"),
            ("text/plain;version=1.0.0", "text/plain; version=1.0.0"),
            ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0"),
            (PROMETHEUS, "application/openmetrics-text; version=1.0.0"),
            ("application/openmetrics-text;q=0.2, text/plain", "text/plain; version=0.0.4"),
            ("application/openmetrics-text;version=9.0.0", "text/plain; version=0.0.4"),
            ("application/openmetrics-text;version=x.y", "text/plain; version=0.0.4"),
            ("text/plain;version=a", "text/plain; version=0.0.4"),
            ("application/openmetrics-text;q=0", "text/plain; version=0.0.4"),
        ],
    )
    def test_the_format_is_the_one_that_was_asked_for(
        self, client: TestClient, accept: str | None, content_type: str
    ) -> None:
        headers = {"accept": accept} if accept else {}
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(content_type)
        assert answer.headers["vary"] == "Accept"
        openmetrics = content_type.startswith("application/openmetrics-text")
        parse = openmetrics_families if openmetrics else text_string_to_metric_families
        assert "serval_http_requests" in {family.name for family in parse(answer.text)}

    def test_requests_that_are_being_answered_are_counted(self, client: TestClient) -> None:
        for _ in range(2):  # this one alone
            assert "serval_http_requests_in_flight 1.0" in client.get("/metrics").text

    def test_workers_that_live_are_counted_by_queue(
        self, client: TestClient, register: Register
    ) -> None:
        register("trainings", "trainings")
        text = client.get("/metrics").text
        assert 'serval_workers{queue="audits"} 0.0' in text
        assert 'serval_workers{queue="trainings"} 2.0' in text

    def test_workers_are_left_out_while_redis_is_away(
        self, app: FastAPI, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = brief_client("redis://127.0.0.1:1/0", timeout_seconds=0.2)
        monkeypatch.setattr(state(app).queue, "redis", away)
        text = client.get("/metrics").text
        assert "serval_http_requests" in text
        assert "serval_workers" not in text

    def test_jobs_are_left_out_while_the_database_is_away(
        self, app: FastAPI, client: TestClient
    ) -> None:
        state(app).sessions.configure(bind=connect("postgresql://127.0.0.1:1/serval"))
        answer = client.get("/metrics")
        assert answer.status_code == 200
        names = {family.name for family in text_string_to_metric_families(answer.text)}
        assert "serval_http_requests" in names
        assert "serval_jobs" not in names
