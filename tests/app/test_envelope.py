"""What surrounds every request."""

import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import logs


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
    def test_it_is_one_line_of_json_with_id_status_time_and_key(
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
        self, client: TestClient, capsys: pytest.CaptureFixture[str]
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
