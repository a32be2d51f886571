"""DELETE of all that a key owns."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.access.deletions.service import Order
from app.access.deletions.tables import Deletion
from app.access.keys.service import revoke_key
from app.corpora.tables import Corpus
from app.erasure import endpoints
from app.erasure.service import Selection, erase
from app.jobs import deletion
from app.jobs.attempts import Attempt, claim
from app.jobs.service import Submission
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.database import connect, sessions
from app.persistence.kept import kept_bytes
from app.persistence.storage import Storage
from app.registry import service as registry
from app.registry.tables import Model
from app.settings import Settings
from tests.app.tiny import tiny_config, tiny_net
from tests.conftest import MakeKey
from tests.recorded import record
from tests.speechless import add_corpus

OWNED = {"jobs": 2, "corpora": 1, "models": 1}
NONE = {"jobs": 0, "corpora": 0, "models": 0}


@pytest.fixture
def storage(settings: Settings) -> Storage:
    storage = Storage(settings.data_dir)
    storage.prepare()
    return storage


@pytest.fixture
def workers_sessions(settings: Settings) -> Iterator[sessionmaker[Session]]:
    engine = connect(settings.database_url)
    yield sessions(engine)
    engine.dispose()


@pytest.fixture
def own(session: Session, storage: Storage, tiny_architecture: None) -> Any:
    """`own(owner)` gives the owner a corpus, a model and two queued audits, with files."""

    def own(owner: str) -> list[str]:
        corpus = add_corpus(session, storage, owner=owner)
        registry.publish(session, storage, tiny_net(), tiny_config(), owner=owner, name="mine")
        session.commit()
        request = {"corpus": corpus.id}
        made = [record(session, Submission(JobKind.AUDIT, owner, request)).id for _ in range(2)]
        for job_id in made:
            (storage.job_dir(job_id) / "inputs").mkdir(parents=True)
        return made

    return own


def rows(session: Session, owner: str) -> int:
    tables: tuple[type[Job | Corpus | Model], ...] = (Job, Corpus, Model)
    counts = (select(func.count()).where(table.owner == owner) for table in tables)
    return sum(session.scalar(count) or 0 for count in counts)


def folders(storage: Storage) -> list[Path]:
    return [
        path for name in ("jobs", "corpora", "models") for path in (storage.root / name).iterdir()
    ]


class TestDeleteData:
    def test_anonymous_is_401_and_another_key_is_403(
        self, client: TestClient, own: Any, make_key: MakeKey, session: Session
    ) -> None:
        owner, other = make_key("audit"), make_key("audit", "train")
        own(owner.id)
        path = f"/v1/keys/{owner.id}/data"
        assert client.delete(path).status_code == 401
        assert client.delete(path, headers=other.headers).status_code == 403
        assert rows(session, owner.id) == 4

    @pytest.mark.parametrize("scope", ["admin", None])
    def test_an_admin_and_the_key_itself_delete_all_of_it_and_nothing_else(
        self,
        client: TestClient,
        own: Any,
        make_key: MakeKey,
        session: Session,
        storage: Storage,
        scope: str | None,
    ) -> None:
        owner, other = make_key("audit"), make_key("audit")
        asks = owner if scope is None else make_key(scope)
        own(other.id)
        left = set(folders(storage))
        own(owner.id)
        size = kept_bytes(session, owner.id)
        answer = client.delete(f"/v1/keys/{owner.id}/data", headers=asks.headers)
        assert answer.status_code == 200
        assert answer.json() == {
            "object": "erasure",
            "key": owner.id,
            "deleted": OWNED,
            "bytes": answer.json()["bytes"],
            "left": NONE,
            "complete": True,
        }
        assert answer.json()["bytes"] >= size > 0
        assert rows(session, owner.id) == 0
        assert rows(session, other.id) == 4
        assert set(folders(storage)) == left
        trail = session.scalars(select(Deletion)).all()
        assert {(one.actor, one.owner, one.reason) for one in trail} == {
            (asks.id, owner.id, "erasure")
        }
        assert sorted(one.kind for one in trail) == ["audit", "audit", "corpus", "model"]

    def test_nothing_goes_while_the_data_folder_is_not_there(
        self, client: TestClient, session: Session, own: Any, storage: Storage
    ) -> None:
        own("local")
        before = rows(session, "local")
        (storage.root / "jobs").rename(storage.root / "away")
        answer = client.delete("/v1/keys/local/data")
        assert (answer.status_code, answer.json()["code"]) == (503, "files_not_visible")
        assert rows(session, "local") == before > 0

    def test_twice_is_once(self, client: TestClient, own: Any) -> None:
        own("local")
        assert client.delete("/v1/keys/local/data").json()["deleted"] == OWNED
        again = client.delete("/v1/keys/local/data").json()
        assert (again["deleted"], again["complete"]) == (NONE, True)

    def test_what_a_revoked_key_left_is_deleted_by_an_admin(
        self, client: TestClient, own: Any, make_key: MakeKey, session: Session
    ) -> None:
        admin, revoked = make_key("admin"), make_key("audit")
        own(revoked.id)
        revoke_key(session, revoked.id, actor="cli")
        path = f"/v1/keys/{revoked.id}/data"
        assert client.delete(path, headers=revoked.headers).status_code == 401
        assert client.delete(path, headers=admin.headers).json()["deleted"] == OWNED

    def test_an_unknown_key_is_404(self, client: TestClient) -> None:
        path = "/v1/keys/key_01K9ZQ3W8M4V7T2X6B5N0C1DEF/data"
        assert client.delete(path).status_code == 404

    def test_a_running_job_is_cancelled_first_and_goes_when_its_worker_has_stopped(
        self,
        client: TestClient,
        own: Any,
        session: Session,
        workers_sessions: sessionmaker[Session],
    ) -> None:
        attempt = claim(workers_sessions, own("local")[0])
        assert attempt is not None
        worker = threading.Thread(target=stop_when_cancelled, args=[attempt])
        worker.start()
        answer = client.delete("/v1/keys/local/data").json()
        worker.join()
        assert (answer["deleted"], answer["complete"]) == (OWNED, True)
        assert rows(session, "local") == 0

    def test_one_whose_worker_does_not_stop_is_left_with_what_it_uses_and_goes_later(
        self,
        client: TestClient,
        own: Any,
        workers_sessions: sessionmaker[Session],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(endpoints, "STOP_SECONDS", 0.2)
        attempt = claim(workers_sessions, own("local")[0])
        assert attempt is not None
        answer = client.delete("/v1/keys/local/data").json()
        assert answer["deleted"] == {"jobs": 1, "corpora": 0, "models": 1}
        assert answer["left"] == {"jobs": 1, "corpora": 1, "models": 0}
        assert not answer["complete"]
        attempt.cancelled()
        assert client.delete("/v1/keys/local/data").json()["complete"]


class TestAKill:
    def test_the_same_call_goes_on_where_it_died(
        self,
        own: Any,
        session: Session,
        storage: Storage,
        workers_sessions: sessionmaker[Session],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        own("key_me")
        chosen, order = Selection(owner="key_me"), Order("cli", "purge")
        delete, calls = deletion.delete, 0

        def die_at_the_second(*given: Any, **more: Any) -> int:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise SystemExit
            return delete(*given, **more)

        with monkeypatch.context() as patch:
            patch.setattr(deletion, "delete", die_at_the_second)
            with pytest.raises(SystemExit):
                erase(workers_sessions, storage, chosen, order, seconds=30)
        assert rows(session, "key_me") == 3
        done = erase(workers_sessions, storage, chosen, order, seconds=30)
        assert done.counts == {"jobs": 1, "corpora": 1, "models": 1}
        assert folders(storage) == []
        assert session.scalar(select(func.count(Deletion.id))) == 4

    def test_one_that_has_no_time_left_says_what_is_left(
        self, own: Any, storage: Storage, workers_sessions: sessionmaker[Session]
    ) -> None:
        own("key_me")
        chosen, order = Selection(owner="key_me"), Order("cli", "purge")
        done = erase(workers_sessions, storage, chosen, order, seconds=-1)
        assert (done.counts, done.left) == (NONE, OWNED)


def stop_when_cancelled(attempt: Attempt) -> None:
    """What a worker does."""
    while attempt.status() is not JobStatus.CANCELLING:
        time.sleep(0.02)
    attempt.cancelled()
