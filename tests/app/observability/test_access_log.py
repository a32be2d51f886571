"""Requests are noted together, soon, and none is lost by an end in good order."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.observability import logs
from app.observability.access_log import FLUSH_SECONDS, MOST_REQUESTS, AccessLog, Answered
from app.observability.metrics import Metrics
from app.settings import Settings

AT = 1_772_366_400.25


@pytest.fixture(autouse=True)
def _told() -> Iterator[None]:
    logs.configure("info")
    yield
    logs.configure("error")


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def answered(path: str = "/v1/jobs", status: int = 200) -> Answered:
    return Answered(
        at=AT,
        seconds=0.25,
        method="GET",
        path=path,
        route="/v1/jobs",
        status=status,
        request_id="req_1",
        key=None,
    )


def log() -> AccessLog:
    return AccessLog(Metrics())


def test_a_request_is_logged_soon_with_the_time_of_its_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def run() -> list[dict[str, Any]]:
        log().add(answered())
        at_once = written(capsys)
        await asyncio.sleep(5 * FLUSH_SECONDS)
        return at_once

    assert asyncio.run(run()) == []
    (line,) = written(capsys)
    assert (line["event"], line["path"], line["status"]) == ("request", "/v1/jobs", 200)
    assert (line["method"], line["ms"], line["request_id"]) == ("GET", 250.0, "req_1")
    assert line["timestamp"] == "2026-03-01T12:00:00.250000Z"


def test_many_requests_do_not_wait_and_keep_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        busy = log()
        for number in range(MOST_REQUESTS):
            busy.add(answered(f"/{number}"))

    asyncio.run(run())
    assert [line["path"] for line in written(capsys)] == [f"/{n}" for n in range(MOST_REQUESTS)]


def test_requests_after_a_flush_are_logged_too(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        flushed = log()
        flushed.add(answered("/1"))
        flushed.flush()
        flushed.add(answered("/2"))
        await asyncio.sleep(5 * FLUSH_SECONDS)

    asyncio.run(run())
    assert [line["path"] for line in written(capsys)] == ["/1", "/2"]


@pytest.mark.parametrize(("status", "lines"), [(200, 0), (503, 1)])
def test_probes_are_logged_only_if_they_fail(
    capsys: pytest.CaptureFixture[str], status: int, lines: int
) -> None:
    async def run() -> None:
        quiet = log()
        quiet.add(answered("/readyz", status))
        quiet.flush()

    asyncio.run(run())
    assert len(written(capsys)) == lines


def test_each_request_is_counted_once_with_its_seconds() -> None:
    metrics = Metrics()

    async def run() -> None:
        counted = AccessLog(metrics)
        counted.add(answered())
        counted.add(answered("/readyz"))
        counted.flush()
        counted.flush()

    asyncio.run(run())
    labels = {"method": "GET", "route": "/v1/jobs"}
    value = metrics.registry.get_sample_value
    assert value("serval_http_requests_total", {**labels, "status": "200"}) == 2
    assert value("serval_http_request_seconds_sum", labels) == 0.5


def test_who_asks_for_the_metrics_is_told_of_all_requests_before(client: TestClient) -> None:
    client.get("/v1/jobs")
    text = client.get("/metrics").text
    assert 'serval_http_requests_total{method="GET",route="/v1/jobs",status="200"} 1.0' in text


def test_a_service_that_stops_writes_what_is_left(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    chatty = settings.model_copy(update={"log_level": "info"})
    with TestClient(create_app(chatty), base_url="http://127.0.0.1:8000") as client:
        capsys.readouterr()
        client.get("/v1/jobs")
    assert [line["path"] for line in written(capsys) if line["event"] == "request"] == ["/v1/jobs"]
