"""Submit an audit, run it in this process, and look at what it has left."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from app.audits import files
from app.corpora.tables import Corpus
from app.jobs.attempts import Attempt, claim
from tests import spoken
from tests.workers.audits.conftest import NO_PICTURES
from workers.audits import audit_job
from workers.audits.artifacts import Pictures
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobResult
from workers.runtime.progress import Watchdog
from workers.runtime.run import run

GRID = [0, 0.02, 0.4, 0.6]
FGSM = {"type": "fgsm", "epsilon": GRID}
CLIPS = 18
"""In the partition "test" of the corpus."""


def request(model: str, corpus: Corpus, **more: Any) -> dict[str, Any]:
    """Of an audit with FGSM, unless ``more`` names other attacks."""
    return {"model": model, "corpus": corpus.id, "attacks": [FGSM], **more}


def submit(client: TestClient, body: dict[str, Any]) -> str:
    """Queue an audit, and give its id."""
    answer = client.post("/v1/audits", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def ended(client: TestClient, job_id: str) -> dict[str, Any]:
    """The audit, after it was run here, however it ended."""
    run(job_id)
    job: dict[str, Any] = client.get(f"/v1/audits/{job_id}").json()
    return job


def done(client: TestClient, job_id: str) -> dict[str, Any]:
    """The audit, after it was run here."""
    job = ended(client, job_id)
    assert job["status"] == "succeeded", job["error"]
    return job


def audited(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    """The audit that a request asks for, after it was run here."""
    return done(client, submit(client, body))


def performed(
    context: WorkerContext,
    attempt: Attempt,
    watchdog: Watchdog | None = None,
    pictures: Pictures = NO_PICTURES,
    clock: Callable[[], float] = time.monotonic,
) -> JobResult:
    """What an attempt comes to, with nobody beside it that watches the job."""
    watching = watchdog or Watchdog(attempt, time_limit_seconds=600)
    return audit_job.perform(context, attempt, watching, pictures=pictures, clock=clock)


def claimed(context: WorkerContext, job_id: str) -> Attempt:
    """The job's next attempt."""
    attempt = claim(context.sessions, job_id)
    assert attempt is not None
    return attempt


def findings(context: WorkerContext, job_id: str, attempt: int = 1) -> Path:
    """Where an attempt has published."""
    return files.attempt_dir(context.storage, job_id, attempt)


def rows(context: WorkerContext, job_id: str, attempt: int = 1) -> list[dict[str, Any]]:
    """Its rows."""
    found: list[dict[str, Any]] = spoken.lines(findings(context, job_id, attempt) / files.ROWS)
    return found


def events(client: TestClient, job_id: str, type_: str) -> list[dict[str, Any]]:
    """Its events of one type."""
    found = client.get(f"/v1/audits/{job_id}/events?limit=1000").json()["data"]
    return [event["data"] for event in found if event["type"] == type_]
