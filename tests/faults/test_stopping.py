"""An API that is stopped while requests are under way: each gets an answer that it can use."""

import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app.jobs.states import JobStatus
from app.server import GRACE_SECONDS
from tests.faults.conftest import Measure
from tests.faults.stack import Process, Stack, free_port

Submit = Callable[..., str]
LONG = 100_000


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def api(stack: Stack, port: int) -> Process:
    """A second API beside that of the stack."""
    process = stack.start_api(port)
    stack.wait_for_api(port)
    return process


class TestWaits:
    def test_end_at_once_and_well(
        self, stack: Stack, submit: Submit, api: Process, port: int, measure: Measure
    ) -> None:
        job_id = submit(iterations=LONG)
        stack.until_status(job_id, JobStatus.RUNNING, seconds=60)
        url = f"http://127.0.0.1:{port}/v1/trainings/{job_id}"

        def wait() -> httpx.Response:
            return httpx.get(url, headers={"Prefer": "wait=50"}, timeout=60)

        def follow() -> list[str]:
            stream = {"Accept": "text/event-stream"}
            with httpx.stream("GET", f"{url}/events", headers=stream, timeout=60) as answer:
                return list(answer.iter_lines())  # raises if it is cut off

        with ThreadPoolExecutor(2) as clients:
            waiting, following = clients.submit(wait), clients.submit(follow)
            time.sleep(1)
            assert not waiting.done()
            assert not following.done()
            began = time.monotonic()
            api.send(signal.SIGTERM)
            answer = waiting.result()
            events = following.result()
            measure("API stopped: waits have ended, s", time.monotonic() - began, 2.0)
        assert api.wait(GRACE_SECONDS) == 0
        measure("API stopped while requests waited: it is gone, s", time.monotonic() - began, 4.0)
        assert answer.status_code == 200
        assert answer.json()["status"] == "running"
        assert answer.headers["preference-applied"] == "wait=50"
        assert "event: running" in events


class TestRequestsThatTakeTooLong:
    def test_are_answered_503_before_they_are_given_up(self, api: Process, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), 30) as client:
            client.sendall(
                b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: audio/wav\r\nContent-Length: 1000\r\n\r\nRIFF"
            )
            time.sleep(0.5)
            api.send(signal.SIGTERM)
            said = b""
            while more := client.recv(65536):
                said += more
        head, _, body = said.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"content-type: application/problem+json" in head
        assert b"retry-after: 10" in head
        assert b'"code": "stopping"' in body
        assert api.wait(GRACE_SECONDS) == 0
        assert b"Traceback" not in api.log.read_bytes()
