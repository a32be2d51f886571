"""A submission and a deletion of what it needs: whoever is second hears of the first."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.jobs.queue import JobQueue
from app.jobs.tables import Job
from app.persistence import orphans
from models.checkpoint import weights_bytes
from tests.app.state import change, state
from tests.app.tiny import tiny_config, tiny_net

WAIT_SECONDS = 10
SOON_SECONDS = 0.3
"""What does not wait is done by then."""


@pytest.fixture
def uploaded(client: TestClient, model: str) -> str:
    """The id of a model that can be deleted."""
    made = client.post(
        "/v1/models",
        files={"weights": ("w", weights_bytes(tiny_net()))},
        data={"config": tiny_config("anger", "joy", "sadness").to_json()},
    )
    return str(made.json()["id"])


@pytest.fixture(params=["corpus of an audit", "model of an audit", "corpus of a training"])
def paths(request: pytest.FixtureRequest, corpus: Corpus, uploaded: str) -> tuple[str, str, Any]:
    """Where to submit, what to delete, and what to submit."""
    attacks = [{"type": "fgsm", "epsilon": [0.1]}]
    audit = {"model": uploaded, "corpus": corpus.id, "attacks": attacks}
    return {
        "corpus of an audit": ("/v1/audits", f"/v1/corpora/{corpus.id}", audit),
        "model of an audit": ("/v1/audits", f"/v1/models/{uploaded}", audit),
        "corpus of a training": (
            "/v1/trainings",
            f"/v1/corpora/{corpus.id}",
            {"corpus": corpus.id},
        ),
    }[str(request.param)]


class Halt:
    """A place in the code at which a thread waits until it may go on."""

    def __init__(self) -> None:
        self._reached, self._go = threading.Event(), threading.Event()

    def here(self) -> None:
        self._reached.set()
        assert self._go.wait(WAIT_SECONDS)

    def until_reached(self) -> None:
        assert self._reached.wait(WAIT_SECONDS)

    def go_on(self) -> None:
        self._go.set()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def jobs(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Job)) or 0


class TestWhoIsSecond:
    def test_what_was_deleted_after_the_check_is_404_and_nothing_is_queued(
        self, client: TestClient, app: FastAPI, session: Session, paths: tuple[str, str, Any]
    ) -> None:
        submit, delete, body = paths

        class Meanwhile(JobQueue):
            """Asked whether it is there after everything was checked."""

            def ping(self) -> None:
                assert client.delete(delete).status_code == 204

        change(app, queue=Meanwhile(state(app).queue.redis))
        answer = client.post(submit, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert jobs(session) == 0

    def test_a_deletion_waits_for_the_submission_and_is_409(
        self,
        client: TestClient,
        app: FastAPI,
        pool: ThreadPoolExecutor,
        paths: tuple[str, str, Any],
    ) -> None:
        submit, delete, body = paths
        before_commit = Halt()

        def inserted(session: Session, _context: object) -> None:
            if any(isinstance(one, Job) for one in session.new):
                event.listen(session, "before_commit", lambda _: before_commit.here(), once=True)

        event.listen(state(app).sessions, "after_flush", inserted)
        submission = pool.submit(client.post, submit, json=body)
        before_commit.until_reached()
        deletion = pool.submit(client.delete, delete)
        time.sleep(SOON_SECONDS)
        assert not deletion.done()
        before_commit.go_on()
        assert submission.result().status_code == 202
        assert deletion.result().status_code == 409
        assert client.delete(delete).status_code == 409  # it is there still

    def test_a_submission_waits_for_the_deletion_and_is_404(
        self,
        client: TestClient,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
        pool: ThreadPoolExecutor,
        paths: tuple[str, str, Any],
    ) -> None:
        submit, delete, body = paths
        before_commit, mark = Halt(), orphans.mark

        def marked(folder: Path) -> None:
            mark(folder)
            before_commit.here()

        monkeypatch.setattr(orphans, "mark", marked)
        deletion = pool.submit(client.delete, delete)
        before_commit.until_reached()
        submission = pool.submit(client.post, submit, json=body)
        time.sleep(SOON_SECONDS)
        assert not submission.done()
        before_commit.go_on()
        assert deletion.result().status_code == 204
        assert submission.result().status_code == 404
        assert jobs(session) == 0
