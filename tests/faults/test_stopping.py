"""An API that is stopped while requests are under way: each gets an answer that it can use."""

import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app.jobs.states import JobStatus
from app.server.serve import GRACE_SECONDS
from tests.faults.conftest import Measure
from tests.faults.stack import Process, Stack, free_port, until

Submit = Callable[..., str]
LONG = 100_000
SECONDS = 60.0
CUT_OFF = b"timeout graceful shutdown exceeded"
"""What the server says when it ends requests that have taken too long."""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def api(stack: Stack, port: int) -> Process:
    """A second API beside that of the stack."""
    process = stack.start_api(port)
    stack.wait_for_api(port)
    return process


def gauge(port: int, name: str) -> float:
    """A metric of the API at that port."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


class TestWaits:
    def test_end_at_once_and_well(
        self, stack: Stack, submit: Submit, api: Process, port: int, measure: Measure
    ) -> None:
        job_id = submit(iterations=LONG)
        stack.until_status(job_id, JobStatus.RUNNING, seconds=60)
        url = f"http://127.0.0.1:{port}/v1/trainings/{job_id}"

        def wait() -> httpx.Response:
            return httpx.get(url, headers={"Prefer": "wait=50"}, timeout=60)

        running = threading.Event()

        def follow() -> None:
            stream = {"Accept": "text/event-stream"}
            with httpx.stream("GET", f"{url}/events", headers=stream, timeout=60) as answer:
                for line in answer.iter_lines():  # raises if it is cut off
                    if line == "event: running":
                        running.set()

        with ThreadPoolExecutor(2) as clients:
            waiting, following = clients.submit(wait), clients.submit(follow)
            assert running.wait(30)
            until(  # this one counts, too
                lambda: gauge(port, "serval_http_requests_in_flight") == 3, 30, "both wait"
            )
            assert not waiting.done()
            assert not following.done()
            said, began = api.log.stat().st_size, time.monotonic()
            api.send(signal.SIGTERM)
            answer = waiting.result()
            following.result()
            measure("API stopped: waits have ended, s", time.monotonic() - began, GRACE_SECONDS)
        assert api.wait(SECONDS) == 0
        measure("API stopped while requests waited: it is gone, s", time.monotonic() - began, 30.0)
        assert CUT_OFF not in api.log.read_bytes()[said:]
        assert answer.status_code == 200
        assert answer.json()["status"] == "running"
        assert answer.headers["preference-applied"] == "wait=50"


class TestRequestsThatTakeTooLong:
    def test_requests_that_take_too_long_are_answered_503_before_they_are_given_up(
        self, api: Process, port: int
    ) -> None:
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: audio/wav\r\nContent-Length: 1000\r\n\r\nRIFF"
            )
            until(lambda: gauge(port, "serval_predict_waiting") == 1, 30, "it is awaited")
            api.send(signal.SIGTERM)
            said = b""
            while more := client.recv(65536):
                said += more
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"content-type: application/problem+json" in head
        assert b"retry-after: 10" in head
        assert b'"code": "stopping"' in body
        assert api.wait(SECONDS) == 0
        assert CUT_OFF in api.log.read_bytes()
        assert b"Traceback" not in api.log.read_bytes()
