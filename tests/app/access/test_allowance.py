"""How many bytes a key may keep, and how many unfinished jobs it may have."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session, sessionmaker

from app.access.allowance import Allowance
from app.access.keys.service import create_key
from app.access.owners import LOCAL
from app.errors import TooMany
from app.jobs import service as jobs
from app.jobs.queue import JobQueue, brief_client
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.persistence.database import connect, sessions
from app.persistence.kept import kept_bytes, tree_size
from app.persistence.storage import Storage
from app.settings import Settings
from models.checkpoint import weights_bytes
from tests.app.corpora.zips import corpus_zip
from tests.app.state import reconfigure, state
from tests.app.tiny import tiny_config, tiny_net
from tests.conftest import MakeKey

KEYS = 2


@pytest.fixture
def queue(settings: Settings) -> Iterator[JobQueue]:
    queue = JobQueue(brief_client(settings.redis_url, timeout_seconds=1))
    yield queue
    queue.close()


@pytest.fixture
def storage(settings: Settings) -> Storage:
    storage = Storage(settings.data_dir)
    storage.prepare()
    return storage


@pytest.fixture
def make_sessions(settings: Settings) -> Iterator[sessionmaker[Session]]:
    engine: Engine = connect(settings.database_url)
    yield sessions(engine)
    engine.dispose()


def upload_corpus(client: TestClient, headers: dict[str, str] | None = None) -> Any:
    return client.post(
        "/v1/corpora",
        files={"file": ("c.zip", corpus_zip())},
        data={"request": '{"name": "c", "format": "index"}'},
        headers=headers,
    )


def upload_model(client: TestClient, headers: dict[str, str] | None = None) -> Any:
    return client.post(
        "/v1/models",
        files={"weights": ("w", weights_bytes(tiny_net()))},
        data={"config": tiny_config().to_json()},
        headers=headers,
    )


class TestJobs:
    def accept(
        self,
        make_sessions: sessionmaker[Session],
        queue: JobQueue,
        storage: Storage,
        owner: str,
        most: int,
    ) -> Job:
        with make_sessions() as session:
            wanted = Submission(JobKind.AUDIT, owner, {})
            return jobs.accept(session, queue, storage, wanted, Allowance(0, most))

    def test_one_more_than_allowed_is_429_says_what_is_left_and_leaves_nothing(
        self,
        make_sessions: sessionmaker[Session],
        queue: JobQueue,
        storage: Storage,
        session: Session,
        make_key: MakeKey,
        tmp_path: Path,
    ) -> None:
        key = make_key("audit")
        for _ in range(2):
            self.accept(make_sessions, queue, storage, key.id, 2)
        staged = storage.root / "staging" / "mine"
        staged.mkdir()
        (staged / "a.wav").write_bytes(b"x")
        wanted = Submission(JobKind.AUDIT, key.id, {}, staged=staged)
        with pytest.raises(TooMany, match=r"2 queued and running jobs, of 2 .* 0 are left") as no:
            jobs.accept(session, queue, storage, wanted, Allowance(0, 2))
        assert (no.value.code, no.value.headers) == ("jobs_quota", {"Retry-After": "60"})
        assert session.scalar(select(func.count(Job.id))) == 2
        assert list((storage.root / "jobs").iterdir()) == []

    def test_one_that_has_ended_makes_room(
        self,
        make_sessions: sessionmaker[Session],
        queue: JobQueue,
        storage: Storage,
        session: Session,
        make_key: MakeKey,
    ) -> None:
        key = make_key("audit")
        first = self.accept(make_sessions, queue, storage, key.id, 1)
        jobs.cancel(session, first.id, owner=key.id)
        self.accept(make_sessions, queue, storage, key.id, 1)

    def test_of_submissions_at_once_no_more_pass_than_there_is_room_for(
        self,
        make_sessions: sessionmaker[Session],
        queue: JobQueue,
        storage: Storage,
        session: Session,
        make_key: MakeKey,
    ) -> None:
        """Each waits before its commit until another has come, or for a while."""
        key = make_key("audit")
        together = threading.Barrier(2)

        def wait(_: Session) -> None:
            try:
                together.wait(timeout=0.5)
            except threading.BrokenBarrierError:
                return

        refused: list[TooMany] = []

        def submit() -> None:
            try:
                self.accept(make_sessions, queue, storage, key.id, 1)
            except TooMany as error:
                refused.append(error)

        event.listen(make_sessions, "before_commit", wait)
        threads = [threading.Thread(target=submit) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert session.scalar(select(func.count(Job.id))) == 1
        assert len(refused) == 3

    def test_other_keys_and_an_open_loopback_are_not_counted(
        self,
        make_sessions: sessionmaker[Session],
        queue: JobQueue,
        storage: Storage,
        make_key: MakeKey,
    ) -> None:
        for owner in (make_key("audit").id, make_key("audit").id, LOCAL, LOCAL):
            self.accept(make_sessions, queue, storage, owner, 1)

    def test_a_replay_needs_no_room(
        self, queue: JobQueue, storage: Storage, session: Session, make_key: MakeKey
    ) -> None:
        wanted = Submission(JobKind.AUDIT, make_key("audit").id, {}, idempotency_key="monday")
        ids = {jobs.accept(session, queue, storage, wanted, Allowance(0, 1)).id for _ in range(2)}
        assert len(ids) == 1

    @pytest.mark.parametrize(("own", "allowed"), [(2, 2), (0, 3), (None, 1)])
    def test_a_keys_own_limit_goes_before_the_services_and_0_is_none(
        self,
        make_sessions: sessionmaker[Session],
        queue: JobQueue,
        storage: Storage,
        session: Session,
        own: int | None,
        allowed: int,
    ) -> None:
        key = create_key(session, name="k", scopes=["audit"], max_jobs=own).key
        passed = 0
        for _ in range(3):
            try:
                self.accept(make_sessions, queue, storage, key.id, 1)
            except TooMany:
                break
            passed += 1
        assert passed == allowed


class TestBytes:
    def test_rows_say_exactly_what_lies_on_the_disk(
        self, client: TestClient, session: Session, make_key: MakeKey, tiny_architecture: None
    ) -> None:
        key = make_key("train", "audit")
        made = [upload(client, key.headers).json() for upload in (upload_corpus, upload_model)]
        storage = state(client.app).storage
        folders = storage.corpus_dir(made[0]["id"]), storage.model_dir(made[1]["id"])
        assert kept_bytes(session, key.id) == sum(map(tree_size, folders)) > 0
        client.delete(f"/v1/models/{made[1]['id']}", headers=key.headers)
        assert kept_bytes(session, key.id) == tree_size(folders[0])

    @pytest.mark.parametrize("upload", [upload_corpus, upload_model])
    def test_an_upload_beyond_them_is_429_says_what_is_left_and_leaves_nothing(
        self,
        client: TestClient,
        session: Session,
        make_key: MakeKey,
        tiny_architecture: None,
        upload: Any,
    ) -> None:
        key = make_key("train", "audit")
        size = kept(client, session, key.id, upload(client, key.headers))
        reconfigure(client.app, max_key_bytes=2 * size - 1)
        answer = upload(client, key.headers)
        assert (answer.status_code, answer.json()["code"]) == (429, "bytes_quota")
        assert f" {size - 1} are left" in answer.json()["detail"]
        assert kept_bytes(session, key.id) == size
        root = state(client.app).storage.root
        assert len([*(root / "corpora").iterdir(), *(root / "models").iterdir()]) == 1
        reconfigure(client.app, max_key_bytes=2 * size)
        assert upload(client, key.headers).status_code == 201

    def test_a_job_of_a_key_that_keeps_all_it_may_is_429(
        self,
        client: TestClient,
        session: Session,
        make_key: MakeKey,
        tiny_architecture: None,
    ) -> None:
        key = make_key("train", "audit")
        corpus = upload_corpus(client, key.headers).json()["id"]
        reconfigure(client.app, max_key_bytes=kept_bytes(session, key.id))
        answer = client.post("/v1/trainings", json={"corpus": corpus}, headers=key.headers)
        assert (answer.status_code, answer.json()["code"]) == (429, "bytes_quota")
        assert "0 are left" in answer.json()["detail"]

    def test_an_open_loopback_has_no_limit(
        self, client: TestClient, tiny_architecture: None
    ) -> None:
        reconfigure(client.app, max_key_bytes=1)
        assert upload_corpus(client).status_code == 201

    def test_a_sum_reads_an_index_alone(self, session: Session) -> None:
        """Of a table with large rows the other columns are not touched."""
        asked: list[str] = []
        engine = session.get_bind()
        if engine.dialect.name != "sqlite":
            pytest.skip("asks SQLite for its plan")
        event.listen(engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        kept_bytes(session, "key_me")
        sums = [statement for statement in asked if "sum(" in statement]
        assert len(sums) == 3
        for statement in sums:
            connection = session.connection()
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", ("key_me",))
            assert "USING COVERING INDEX" in plan.one()[3]


def kept(client: TestClient, session: Session, owner: str, answer: Any) -> int:
    """What the owner keeps after an upload that was accepted."""
    assert answer.status_code == 201, answer.text
    return kept_bytes(session, owner)
