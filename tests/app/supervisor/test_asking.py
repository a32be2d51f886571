"""What the supervisor makes of the API's answers."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from app.supervisor.asking import why_not_ready

SILENT = "the API does not answer yet."


class Api(HTTPServer):
    """Answers everything with one status and body."""

    status = 200
    body = b""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def says(self, status: int, body: Any) -> "Api":
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        api = self.server
        assert isinstance(api, Api)
        self.send_response(api.status)
        self.end_headers()
        self.wfile.write(api.body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api(("127.0.0.1", 0), Answer) as api:
        thread = threading.Thread(target=api.serve_forever, args=(0.02,))
        thread.start()
        yield api
        api.shutdown()
        thread.join()


class TestWhyNotReady:
    def test_nothing_is_missing_where_each_queue_has_a_worker(self, api: Api) -> None:
        api.says(200, {"workers": {"audits": 1, "trainings": 2}})
        assert why_not_ready(api.url) is None

    @pytest.mark.parametrize(
        ("workers", "told"),
        [
            ({"audits": 0, "trainings": 2}, "no worker works on audits yet."),
            ({"audits": 0, "trainings": 0}, "no worker works on audits or trainings yet."),
        ],
    )
    def test_queues_without_a_worker_are_named(
        self, api: Api, workers: dict[str, int], told: str
    ) -> None:
        assert why_not_ready(api.says(200, {"workers": workers}).url) == told

    def test_what_is_not_ready_says_why(self, api: Api) -> None:
        api.says(503, {"detail": "Not ready: database: it is away"})
        assert why_not_ready(api.url) == "Not ready: database: it is away"

    @pytest.mark.parametrize("body", [b"", b"<html>", [], {}, {"workers": None}, {"workers": [1]}])
    def test_an_answer_of_another_program_is_none(self, api: Api, body: Any) -> None:
        assert why_not_ready(api.says(200, body).url) == SILENT

    def test_an_api_that_is_not_there_does_not_answer(self) -> None:
        assert why_not_ready("http://127.0.0.1:1") == SILENT
