"""Alive, ready, and how it goes."""

import asyncio
import threading
from functools import partial

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app.errors import Unavailable
from app.migrations import check_revision
from app.observability import health
from app.observability.health import Readiness
from app.persistence.database import connect
from tests.app.state import state


class TestHealthz:
    def test_it_says_that_the_process_is_alive(self, client: TestClient) -> None:
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
    def test_it_names_every_part_that_is_ready(self, client: TestClient) -> None:
        answer = client.get("/readyz")
        assert answer.status_code == 200
        assert answer.json()["status"] == "ready"
        assert {"database", "queue"} <= answer.json()["checks"].keys()

    def test_it_is_503_with_the_reason_while_a_part_is_not(
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
            raise OSError(28, "No space left on device", "/srv/secret/staging")

        state(app).readiness.checks["storage"] = broken
        answer = client.get("/readyz")
        assert answer.status_code == 503
        told = "it failed with OSError; the service's log says more"
        assert answer.json()["detail"] == f"Not ready: storage: {told}"
        assert answer.json()["errors"][0]["message"] == told

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

        async def probes() -> list[dict[str, str]]:
            readiness = Readiness({"queue": slow})
            asking = [asyncio.create_task(readiness.failed()) for _ in range(400)]
            await asyncio.sleep(0)  # each has asked now
            done.set()
            return await asyncio.gather(*asking)

        assert asyncio.run(probes()) == [{"queue": "Redis is silent."}] * 400
        assert len(ran) == 1

    def test_their_result_counts_for_a_second(self) -> None:
        now, ran = [100.0], []
        readiness = Readiness({"queue": lambda: ran.append(now[0])}, now=lambda: now[0])
        for now[0] in (100.0, 100.5, 100.99, 101.0, 101.99, 102.5):
            assert asyncio.run(readiness.failed()) == {}
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
    def test_it_counts_requests_by_route_and_jobs_by_status(self, client: TestClient) -> None:
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

    def test_it_counts_the_requests_that_are_being_answered(self, client: TestClient) -> None:
        for _ in range(2):  # this one alone
            assert "serval_http_requests_in_flight 1.0" in client.get("/metrics").text

    def test_while_the_database_is_away_it_answers_without_the_jobs(
        self, app: FastAPI, client: TestClient
    ) -> None:
        state(app).sessions.configure(bind=connect("postgresql://127.0.0.1:1/serval"))
        answer = client.get("/metrics")
        assert answer.status_code == 200
        names = {family.name for family in text_string_to_metric_families(answer.text)}
        assert "serval_http_requests" in names
        assert "serval_jobs" not in names
