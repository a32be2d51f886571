"""What surrounds every request."""

import asyncio
import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability import logs
from app.observability.metrics import Metrics
from app.observability.request_context import RequestContext


class TestRequestId:
    def test_each_request_has_its_own(self, client: TestClient) -> None:
        first, second = (client.get("/healthz").headers["x-request-id"] for _ in range(2))
        assert first.startswith("req_")
        assert first != second

    def test_the_clients_own_is_kept(self, client: TestClient) -> None:
        answer = client.get("/healthz", headers={"x-request-id": "trace-7.a"})
        assert answer.headers["x-request-id"] == "trace-7.a"

    @pytest.mark.parametrize("bad", ["", "x" * 65, "a b", 'a"b', "é"])
    def test_one_that_could_forge_a_log_line_is_replaced(
        self, client: TestClient, bad: str
    ) -> None:
        answer = client.get("/healthz", headers={b"x-request-id": bad.encode()})
        assert answer.headers["x-request-id"].startswith("req_")


class TestAccessLog:
    def test_a_request_is_one_line_of_json_with_id_status_time_and_key(
        self, app: FastAPI, client: TestClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logs.configure("info")
        answer = client.get("/v1/jobs")
        logs.configure("error")
        (line,) = capsys.readouterr().err.splitlines()
        told = json.loads(line)
        assert told["path"] == "/v1/jobs"
        assert told["status"] == 200
        assert told["request_id"] == answer.headers["x-request-id"]
        assert told["key"] == "local"
        assert told["ms"] > 0

    def test_probes_of_health_are_not_logged(
        self, app: FastAPI, client: TestClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logs.configure("info")
        client.get("/healthz")
        logs.configure("error")
        assert capsys.readouterr().err == ""

    def test_a_bug_is_logged_with_its_traceback_under_the_request_id(
        self, app: FastAPI, client: TestClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        @app.get("/bug")
        def bug() -> None:
            raise RuntimeError("here is the bug")

        request_id = client.get("/bug").headers["x-request-id"]
        told = json.loads(capsys.readouterr().err.splitlines()[0])
        assert "here is the bug" in told["exception"]
        assert told["request_id"] == request_id


def test_no_answer_may_be_sniffed_for_another_type(client: TestClient) -> None:
    assert client.get("/healthz").headers["x-content-type-options"] == "nosniff"


class TestStopping:
    """The server cancels what is not done when it has waited long enough."""

    SCOPE: Scope = {"type": "http", "method": "POST", "path": "/v1/predict", "headers": []}  # noqa: RUF012

    def _cancelled(self, app: ASGIApp) -> list[Message]:
        """What is sent when the request is cancelled."""
        sent: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("nobody asks")

        async def send(message: Message) -> None:
            sent.append(message)

        async def run() -> None:
            middleware = RequestContext(app, Metrics())
            request = asyncio.ensure_future(middleware(dict(self.SCOPE), receive, send))
            await asyncio.sleep(0.01)
            request.cancel()
            await request

        asyncio.run(run())
        return sent

    def test_a_request_without_an_answer_is_told_to_come_again(self) -> None:
        async def slow(_scope: Scope, _receive: Receive, _send: Send) -> None:
            await asyncio.sleep(60)

        start, end = self._cancelled(slow)
        headers = dict(start["headers"])
        assert start["status"] == 503
        assert headers[b"content-type"] == b"application/problem+json"
        assert int(headers[b"retry-after"]) >= 1
        problem = json.loads(end["body"])
        assert (problem["code"], problem["status"]) == ("stopping", 503)

    def test_an_answer_that_has_begun_is_cut_off(self) -> None:
        async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await asyncio.sleep(60)

        with pytest.raises(asyncio.CancelledError):
            self._cancelled(endless)
