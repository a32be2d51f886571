"""Each request is noted when its answer ends: a line in the log, and two metrics."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.observability import logs
from app.observability.metrics import Metrics
from app.observability.request_context import RequestContext

Answer = Callable[[Scope, Receive, Send], Awaitable[None]]


@pytest.fixture(autouse=True)
def _told() -> Iterator[None]:
    logs.configure("info")
    yield
    logs.configure("error")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def ask(metrics: Metrics, answer: Answer, path: str = "/v1/jobs") -> None:
    """One request, from its first byte to the end of its answer."""

    async def receive() -> Message:
        raise AssertionError("nobody asks")

    async def send(message: Message) -> None:
        """Nobody listens."""

    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    asyncio.run(RequestContext(answer, metrics)(scope, receive, send))


class TestLine:
    def test_a_request_has_one_when_its_answer_has_ended(
        self, metrics: Metrics, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = list[dict[str, Any]]()

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await Response("done")(scope, receive, send)
            before.extend(written(capsys))
            await asyncio.sleep(0.02)

        ask(metrics, answer)
        assert before == []
        (line,) = written(capsys)
        assert (line["event"], line["method"], line["path"]) == ("request", "GET", "/v1/jobs")
        assert (line["status"], line["key"]) == (200, None)
        assert line["ms"] >= 20
        assert line["request_id"].startswith("req_")
        assert line["timestamp"].endswith("Z")

    def test_requests_are_written_in_their_order(
        self, metrics: Metrics, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paths = [f"/{number}" for number in range(5)]
        for path in paths:
            ask(metrics, Response("done"), path)
        assert [line["path"] for line in written(capsys)] == paths

    @pytest.mark.parametrize(("status", "lines"), [(200, 0), (503, 1)])
    def test_a_probe_has_one_only_if_it_fails(
        self, metrics: Metrics, capsys: pytest.CaptureFixture[str], status: int, lines: int
    ) -> None:
        ask(metrics, Response(status_code=status), "/readyz")
        assert len(written(capsys)) == lines


class TestMetrics:
    def test_each_request_is_counted_once_with_its_seconds(self, metrics: Metrics) -> None:
        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            await asyncio.sleep(0.02)
            await Response("done")(scope, receive, send)

        for path in ("/v1/jobs", "/readyz"):
            ask(metrics, answer, path)
        labels = {"method": "GET", "route": "-"}
        value = metrics.registry.get_sample_value
        assert value("serval_http_requests_total", {**labels, "status": "200"}) == 2
        assert value("serval_http_request_seconds_count", labels) == 2
        assert (value("serval_http_request_seconds_sum", labels) or 0) >= 0.04

    def test_who_asks_for_them_is_told_of_all_requests_before(self, client: TestClient) -> None:
        client.get("/v1/jobs")
        text = client.get("/metrics").text
        assert 'serval_http_requests_total{method="GET",route="/v1/jobs",status="200"} 1.0' in text
