"""Submissions that race, and an API that is killed between the row and the queue."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import func, select

from app.corpora.tables import Corpus
from app.jobs.states import JobStatus
from app.jobs.tables import Job
from tests.faults.conftest import TINY, Measure
from tests.faults.stack import Stack, free_port, until

RACERS = 100
PATIENCE = 240.0

Submit = Callable[..., str]


class TestOneIdempotencyKey:
    def test_a_hundred_racing_submissions_make_one_job(
        self, stack: Stack, corpus: Corpus, submit: Submit, measure: Measure
    ) -> None:
        gate = threading.Barrier(RACERS)
        body = {"corpus": corpus.id, **TINY, "iterations": 20}

        def race(_: int) -> httpx.Response:
            with httpx.Client(timeout=120) as client:
                gate.wait()
                return client.post(
                    f"http://127.0.0.1:{stack.port}/v1/trainings",
                    json=body,
                    headers={"Idempotency-Key": "a hundred".replace(" ", "-")},
                )

        began = time.monotonic()
        with ThreadPoolExecutor(RACERS) as racers:
            answers = list(racers.map(race, range(RACERS)))
        measure("100 racing submissions are answered, s", time.monotonic() - began, 120.0)
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) <= {202, 409}, statuses
        assert statuses[202] >= 1
        (job_id,) = {answer.json()["id"] for answer in answers if answer.status_code == 202}
        with stack.sessions() as session:
            made = select(func.count(Job.id)).where(Job.idempotency_key == "a-hundred")
            assert session.scalar(made) == 1
        stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE)
        assert len(stack.events(job_id, "running")) == 1


class Stalling:
    """Stands between a client and Redis, and lets everything through but enqueueing."""

    def __init__(self, port: int) -> None:
        self.reached = threading.Event()
        self._behind = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._door.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._behind))
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, watched: bool) -> None:
        try:
            while data := source.recv(65536):
                if watched and b"EVAL" in data.upper():
                    self.reached.set()
                    return
                target.sendall(data)
        except OSError:
            return

    def close(self) -> None:
        self._door.close()


@pytest.fixture
def stalling(stack: Stack) -> Iterator[Stalling]:
    stalling = Stalling(stack.valkey.port)
    yield stalling
    stalling.close()


class TestApiKilledBetweenRowAndQueue:
    def test_the_reconciler_runs_the_job(
        self,
        stack: Stack,
        corpus: Corpus,
        submit: Submit,
        stalling: Stalling,
        measure: Measure,
    ) -> None:
        port = free_port()
        # A patient one, or it would give up and take the row back before it is killed.
        api = stack.start_api(port, REDIS_URL=stalling.url, SERVAL_REDIS_TIMEOUT_SECONDS="2")
        stack.wait_for_api(port)

        def ask() -> None:
            with pytest.raises(httpx.TransportError):
                httpx.post(
                    f"http://127.0.0.1:{port}/v1/trainings",
                    json={"corpus": corpus.id, **TINY, "iterations": 20},
                    timeout=120,
                )

        before = set(stack.unfinished())
        client = threading.Thread(target=ask)
        client.start()
        assert stalling.reached.wait(60)
        api.end()
        killed = time.monotonic()
        client.join()
        (job_id,) = until(lambda: set(stack.unfinished()) - before or None, 10, "the row is there")
        assert stack.row(job_id).enqueued_at is None
        stack.until_status(job_id, JobStatus.RUNNING, JobStatus.SUCCEEDED, seconds=PATIENCE)
        measure("API killed before the enqueue: the job runs, s", time.monotonic() - killed, 20.0)
        stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE)
        assert len(stack.models_of(job_id)) == 1
