"""Accepting a job: one committed row, then its id on the queue; or nothing at all."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import delete, event, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from app.errors import Conflict, Invalid, Unavailable
from app.jobs import service
from app.jobs.attempts import claim
from app.jobs.queue import JobQueue, brief_client
from app.jobs.service import Submission, accept
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.main import create_app
from app.persistence import orphans
from app.persistence.database import now
from app.persistence.orphans import MARK
from app.persistence.storage import Storage
from app.settings import Settings
from tests.app.jobs.conftest import Make, router
from tests.conftest import MakeKey

BODY = {"model": "cnn4-single", "attacks": [{"type": "fgsm", "epsilon": [0.02]}]}


def submission(key: str | None = None, **more: Any) -> Submission:
    given: dict[str, Any] = {"kind": JobKind.AUDIT, "owner": "local", "request": BODY}
    return Submission(idempotency_key=key, **given | more)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "data")
    storage.prepare()
    return storage


@pytest.fixture
def queue(redis_url: str) -> Iterator[JobQueue]:
    queue = JobQueue(brief_client(redis_url, timeout_seconds=0.5))
    yield queue
    queue.close()


class Broken(JobQueue):
    """A queue that answers a ping and then goes away."""

    def enqueue(self, job_id: str, kind: JobKind) -> None:
        raise Unavailable("It went away.")


@pytest.fixture
def broken(queue: JobQueue) -> JobQueue:
    return Broken(queue.redis)


def rows(session: Session) -> list[Job]:
    session.commit()
    return list(session.scalars(select(Job).execution_options(populate_existing=True)))


def grow_old(session: Session, job_id: str) -> None:
    """Let the row be so old that its first request counts as dead."""
    job = session.get_one(Job, job_id)
    job.created_at = now() - timedelta(seconds=service.UNCONFIRMED_SECONDS + 1)
    session.commit()


class TestAccept:
    def test_the_row_is_committed_and_the_id_queued(
        self, session: Session, queue: JobQueue, storage: Storage, redis_url: str
    ) -> None:
        accepted = accept(session, queue, storage, submission())
        (row,) = rows(session)
        assert (row.id, row.status, row.request) == (accepted.id, JobStatus.QUEUED, BODY)
        assert row.enqueued_at is not None
        with Redis.from_url(redis_url) as redis:
            assert redis.lrange("rq:queue:audits", 0, -1) == [row.id.encode()]

    def test_nothing_is_left_behind_without_redis(self, session: Session, storage: Storage) -> None:
        away = JobQueue(brief_client("redis://127.0.0.1:1/0", timeout_seconds=0.2))
        with storage.staging() as folder, pytest.raises(Unavailable):
            accept(session, away, storage, submission("k", staged=folder))
        assert rows(session) == []
        assert list((storage.root / "jobs").iterdir()) == []

    def test_the_row_and_the_files_are_taken_back_if_redis_goes_in_between(
        self, session: Session, broken: JobQueue, storage: Storage
    ) -> None:
        with storage.staging() as folder:
            (folder / "clip.wav").touch()
            with pytest.raises(Unavailable):
                accept(session, broken, storage, submission("k", staged=folder))
        assert rows(session) == []
        assert list((storage.root / "jobs").iterdir()) == []

    def test_the_same_key_works_once_redis_is_back(
        self, session: Session, queue: JobQueue, broken: JobQueue, storage: Storage
    ) -> None:
        with pytest.raises(Unavailable):
            accept(session, broken, storage, submission("k"))
        accepted = accept(session, queue, storage, submission("k"))
        assert [row.id for row in rows(session)] == [accepted.id]

    def test_what_a_worker_took_already_is_not_taken_back(
        self,
        session: Session,
        queue: JobQueue,
        storage: Storage,
        make_sessions: sessionmaker[Session],
    ) -> None:
        class Late(JobQueue):
            """Redis took the id, a worker started it, and then the answer was lost."""

            def enqueue(self, job_id: str, kind: JobKind) -> None:
                assert claim(make_sessions, job_id) is not None
                raise Unavailable("No answer came.")

        accepted = accept(session, Late(queue.redis), storage, submission())
        assert accepted.status is JobStatus.RUNNING

    def test_uploaded_files_become_the_jobs_folder(
        self, session: Session, queue: JobQueue, storage: Storage
    ) -> None:
        with storage.staging() as folder:
            (folder / "clip.wav").write_bytes(b"RIFF")
            job = accept(session, queue, storage, submission(staged=folder))
        assert (storage.job_dir(job.id) / "clip.wav").read_bytes() == b"RIFF"
        assert not (storage.job_dir(job.id) / MARK).exists()

    @pytest.mark.parametrize("step", ["insert", "_enqueue"])
    def test_files_that_a_crash_leaves_are_marked_as_left_behind(
        self,
        session: Session,
        queue: JobQueue,
        storage: Storage,
        monkeypatch: pytest.MonkeyPatch,
        step: str,
    ) -> None:
        def crash(*_: object, **__: object) -> None:
            raise SystemExit

        monkeypatch.setattr(service, step, crash)
        with storage.staging() as folder, pytest.raises(SystemExit):
            accept(session, queue, storage, submission(staged=folder))
        (left,) = (storage.root / "jobs").iterdir()
        assert (left / MARK).exists()

    def test_files_of_a_row_that_was_not_inserted_are_gone(
        self, session: Session, queue: JobQueue, storage: Storage
    ) -> None:
        nobody = submission("k", parent_id="audit_gone")  # a parent that there is not
        with storage.staging() as folder, pytest.raises(IntegrityError):
            accept(session, queue, storage, replace(nobody, staged=folder))
        assert list((storage.root / "jobs").iterdir()) == []

    def test_files_of_a_row_that_may_have_been_committed_stay_for_the_collection(
        self,
        session: Session,
        queue: JobQueue,
        storage: Storage,
        make_sessions: sessionmaker[Session],
        lose_the_answer: Callable[[Session], None],
    ) -> None:
        lose_the_answer(session)
        with storage.staging() as folder:
            (folder / "clip.wav").touch()
            with pytest.raises(OperationalError):
                accept(session, queue, storage, submission(staged=folder))
        with make_sessions() as other:
            (row,) = other.scalars(select(Job)).all()
        left = storage.job_dir(row.id)
        assert {path.name for path in left.iterdir()} == {"clip.wav", MARK}
        assert orphans.collect(make_sessions, storage, "jobs", Job.id, older_than=-1) == 0
        assert [path.name for path in left.iterdir()] == ["clip.wav"]


class TestIdempotency:
    def test_the_same_request_gives_the_same_job(
        self, session: Session, queue: JobQueue, storage: Storage
    ) -> None:
        first, second = (accept(session, queue, storage, submission("k")) for _ in range(2))
        assert first.id == second.id

    def test_a_replay_needs_no_redis(
        self, session: Session, queue: JobQueue, storage: Storage
    ) -> None:
        first = accept(session, queue, storage, submission("k"))
        away = JobQueue(brief_client("redis://127.0.0.1:1/0", timeout_seconds=0.2))
        assert accept(session, away, storage, submission("k")).id == first.id

    @pytest.mark.parametrize(
        "changed",
        [
            {"request": BODY | {"model": "other"}},
            {"digest": "other files"},
            {"metadata": {"a": 1}},
        ],
    )
    def test_another_request_under_the_key_is_refused(
        self, session: Session, queue: JobQueue, storage: Storage, changed: dict[str, Any]
    ) -> None:
        accept(session, queue, storage, submission("k"))
        with pytest.raises(Invalid, match="was used for another request"):
            accept(session, queue, storage, submission("k", **changed))

    def test_keys_of_other_owners_and_kinds_do_not_collide(
        self, session: Session, queue: JobQueue, storage: Storage
    ) -> None:
        others: list[dict[str, Any]] = [{}, {"owner": "key_2"}, {"kind": JobKind.TRAINING}]
        made = [accept(session, queue, storage, submission("k", **other)) for other in others]
        assert len({accepted.id for accepted in made}) == len(others)

    def test_the_second_is_told_to_wait_while_the_first_is_under_way(
        self, session: Session, queue: JobQueue, storage: Storage, make_job: Make
    ) -> None:
        make_job(request=BODY, idempotency_key="k")  # committed, not yet queued
        with pytest.raises(Conflict) as conflict:
            accept(session, queue, storage, submission("k"))
        assert conflict.value.code == "idempotency_key_in_use"
        assert "Retry-After" in conflict.value.headers

    def test_a_first_whose_process_died_counts_as_accepted(
        self, session: Session, queue: JobQueue, storage: Storage, make_job: Make
    ) -> None:
        job = make_job(request=BODY, idempotency_key="k")
        grow_old(session, job.id)
        assert accept(session, queue, storage, submission("k")).id == job.id

    def test_a_first_that_was_answered_for_is_not_taken_back(
        self,
        session: Session,
        queue: JobQueue,
        storage: Storage,
        make_sessions: sessionmaker[Session],
    ) -> None:
        answered: list[str] = []

        class Slow(JobQueue):
            """Is given up so late that a replay has been told 202 meanwhile."""

            def enqueue(self, job_id: str, kind: JobKind) -> None:
                with make_sessions() as other:
                    grow_old(other, job_id)
                    answered.append(accept(other, queue, storage, submission("k")).id)
                raise Unavailable("It went away.")

        first = accept(session, Slow(queue.redis), storage, submission("k"))
        assert [first.id] == answered == [row.id for row in rows(session)]

    def test_one_that_is_taken_back_before_it_is_answered_for_is_none(
        self,
        session: Session,
        queue: JobQueue,
        storage: Storage,
        make_job: Make,
        make_sessions: sessionmaker[Session],
    ) -> None:
        first = make_job(request=BODY, idempotency_key="k")
        grow_old(session, first.id)

        once = iter([True])

        def take_back(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement.startswith("UPDATE jobs") and next(once, False):
                with make_sessions.begin() as other:
                    other.execute(delete(Job))

        event.listen(session.get_bind(), "before_cursor_execute", take_back)
        accepted = accept(session, queue, storage, submission("k"))
        assert accepted.id != first.id
        assert [row.id for row in rows(session)] == [accepted.id]


class TestOverHttp:
    def test_100_racing_submissions_with_one_key_make_one_job(
        self, app: FastAPI, client: TestClient, session: Session, redis_url: str
    ) -> None:
        start = threading.Barrier(25)

        def submit(_: int) -> Any:
            start.wait(30)
            return client.post("/v1/probes", json=BODY, headers={"Idempotency-Key": "race"})

        with ThreadPoolExecutor(25) as pool:
            answers = list(pool.map(submit, range(100)))
        assert {answer.status_code for answer in answers} <= {202, 409}
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
        assert len(rows(session)) == 1
        with Redis.from_url(redis_url) as redis:
            assert redis.llen("rq:queue:audits") == 1

    @pytest.mark.parametrize("bad", ["", " ", "a b", "x" * 256, "é", "a\tb"])
    def test_a_malformed_key_is_400(self, client: TestClient, bad: str) -> None:
        answer = client.post("/v1/probes", json=BODY, headers={b"idempotency-key": bad.encode()})
        assert answer.status_code == 400
        assert answer.json()["code"] == "idempotency_key_malformed"

    def test_another_payload_is_422(self, client: TestClient) -> None:
        headers = {"Idempotency-Key": "3f1c9d52"}
        assert client.post("/v1/probes", json=BODY, headers=headers).status_code == 202
        answer = client.post("/v1/probes", json={"other": 1}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")

    def test_a_submission_without_redis_is_503_with_retry_after_and_reading_goes_on(
        self, settings: Settings
    ) -> None:
        app = create_app(settings.model_copy(update={"redis_url_setting": "redis://127.0.0.1:1/0"}))
        app.include_router(router)
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
            answer = client.post("/v1/probes", json=BODY)
            assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
            assert client.get("/v1/jobs").json()["data"] == []
            assert client.get("/healthz").status_code == 200
            assert client.get("/readyz").json()["errors"][0]["field"] == "queue"

    def test_two_keys_may_use_the_same_idempotency_key(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        made = [
            client.post(
                "/v1/probes",
                json=BODY,
                headers=make_key("audit").headers | {"Idempotency-Key": "k"},
            ).json()["id"]
            for _ in range(2)
        ]
        assert len(set(made)) == 2
