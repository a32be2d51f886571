"""A route for submissions, without the audits and trainings that come by it."""

import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from app.access.auth import MaySubmitAudit
from app.http.idempotency import IdempotencyKey
from app.jobs import events, service
from app.jobs.attempts import Attempt, claim
from app.jobs.schemas import Job
from app.jobs.service import Submission
from app.jobs.services import ServicesDep
from app.jobs.states import JobKind
from app.jobs.tables import Job as Row
from app.persistence.database import SessionDep, connect, sessions
from app.settings import Settings
from tests.recorded import record

Make = Callable[..., Row]
Claim = Callable[[str], Attempt]
Looked = Callable[[], None]
AtLook = Callable[[int, Callable[[], None]], None]
router = APIRouter(prefix="/v1/probes")


@router.post("", status_code=202)
def submit(
    wanted: dict[str, Any],
    response: Response,
    session: SessionDep,
    services: ServicesDep,
    caller: MaySubmitAudit,
    key: IdempotencyKey = None,
) -> Job:
    """Submit an audit, as the endpoints of audits and trainings do."""
    submission = Submission(
        kind=JobKind.AUDIT, owner=caller.owner, request=wanted, idempotency_key=key
    )
    accepted = service.accept(session, services.queue, services.storage, submission)
    response.headers["Location"] = f"/v1/jobs/{accepted.id}"
    return Job.of(accepted)


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """The application, with `POST /v1/probes`."""
    app.include_router(router)
    return app


@pytest.fixture
def make_sessions(settings: Settings) -> Iterator[sessionmaker[Session]]:
    """Sessions of another process, such as a worker."""
    engine = connect(settings.database_url)
    yield sessions(engine)
    engine.dispose()


@pytest.fixture
def make_job(session: Session) -> Make:
    """Commit the row of a job."""

    def make(kind: JobKind = JobKind.AUDIT, *, owner: str = "local", **more: Any) -> Row:
        request = more.pop("request", {"model": "cnn4-single"})
        return record(session, Submission(kind, owner, request, **more))

    return make


@pytest.fixture
def run(make_sessions: sessionmaker[Session]) -> Claim:
    """Claim a job as a worker does."""

    def start(job_id: str) -> Attempt:
        attempt = claim(make_sessions, job_id)
        assert attempt is not None
        return attempt

    return start


@pytest.fixture
def read(client: TestClient) -> Callable[[str], dict[str, Any]]:
    """The resource of a job."""

    def get(job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
        return found

    return get


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Looked:
    """Waits until a request that waits on a job has ended a look that it began after this call."""
    looks = threading.Semaphore(0)
    snapshot = events.snapshot

    def counted(*of: Any) -> Any:
        found = snapshot(*of)
        looks.release()
        return found

    def look() -> None:
        while looks.acquire(blocking=False):
            pass
        for _ in range(2):  # the first may have begun before what it is to see
            assert looks.acquire(timeout=30)

    monkeypatch.setattr(events, "snapshot", counted)
    return look


@pytest.fixture
def at_look(monkeypatch: pytest.MonkeyPatch) -> AtLook:
    """`at_look(2, act)` acts before what waits on a job looks at it for the second time."""
    snapshot = events.snapshot
    acts: dict[int, Callable[[], None]] = {}
    looks = count(1)

    def acting(*of: Any) -> Any:
        acts.get(next(looks), lambda: None)()
        return snapshot(*of)

    monkeypatch.setattr(events, "snapshot", acting)
    return acts.__setitem__
