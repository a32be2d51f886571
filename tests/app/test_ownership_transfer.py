"""What a key owns, and how another one adopts it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from app.access.keys import service
from app.access.owners import LOCAL
from app.errors import Conflict, Invalid, NotFound
from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.ownership_transfer import Owned, owned_by, transfer_ownership
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.registry import service as registry
from app.settings import Settings
from tests.app.tiny import tiny_config, tiny_net
from tests.conftest import MakeKey
from tests.recorded import record
from tests.speechless import add_corpus

Make = Callable[..., Job]


@pytest.fixture
def make(session: Session) -> Make:
    """Commit the row of an audit."""

    def make(owner: str = LOCAL, **more: Any) -> Job:
        return record(session, Submission(JobKind.AUDIT, owner, {}, **more))

    return make


@pytest.fixture
def workers_sessions(settings: Settings) -> Iterator[sessionmaker[Session]]:
    engine = connect(settings.database_url)
    yield sessions(engine)
    engine.dispose()


def give(session: Session, of: str, by: str) -> Owned:
    given = transfer_ownership(session, of=of, by=by)
    session.commit()
    return given


class TestAdopt:
    def test_jobs_corpora_and_models_are_the_other_keys_from_then_on(
        self,
        client: TestClient,
        session: Session,
        settings: Settings,
        make: Make,
        make_key: MakeKey,
        tiny_architecture: None,
    ) -> None:
        storage = Storage(settings.data_dir)
        add_corpus(session, storage)
        model = registry.publish(
            session, storage, tiny_net(), tiny_config(), owner=LOCAL, name="mine"
        )
        session.commit()
        paths = [
            f"/v1/audits/{make().id}",
            f"/v1/models/{model.id}",
        ]
        key, other = make_key("audit"), make_key("audit")
        found = [client.get(path, headers=key.headers).status_code for path in paths]
        assert found == [404, 404]
        assert give(session, LOCAL, key.id) == owned_by(session, key.id) == Owned(1, 1, 1)
        assert owned_by(session, LOCAL) == Owned(0, 0, 0)
        found = [client.get(path, headers=key.headers).status_code for path in paths]
        assert found == [200, 200]
        assert client.get(paths[0], headers=other.headers).status_code == 404

    def test_what_a_revoked_key_leaves_can_be_adopted(
        self, session: Session, make: Make, make_key: MakeKey
    ) -> None:
        old, new = make_key("audit"), make_key("audit")
        make(old.id)
        make()
        service.revoke_key(session, old.id, actor="cli")
        assert give(session, old.id, new.id) == Owned(1, 0, 0)
        assert owned_by(session, LOCAL) == Owned(1, 0, 0)

    def test_nothing_is_adopted_while_a_job_is_under_way(
        self,
        session: Session,
        make: Make,
        make_key: MakeKey,
        workers_sessions: sessionmaker[Session],
    ) -> None:
        """Its worker would publish the model to the owner that it knows."""
        key, job = make_key("audit"), make()
        attempt = claim(workers_sessions, job.id)
        assert attempt is not None
        with pytest.raises(Conflict, match=job.id):
            give(session, LOCAL, key.id)
        session.rollback()
        assert owned_by(session, LOCAL).jobs == 1
        attempt.succeed({})
        assert give(session, LOCAL, key.id).jobs == 1

    def test_the_adopters_own_job_under_way_is_no_matter(
        self,
        session: Session,
        make: Make,
        make_key: MakeKey,
        workers_sessions: sessionmaker[Session],
    ) -> None:
        key = make_key("audit")
        make()
        assert claim(workers_sessions, make(key.id).id) is not None
        assert give(session, LOCAL, key.id) == Owned(1, 0, 0)

    def test_the_adopters_job_keeps_an_idempotency_key_that_both_have(
        self, session: Session, make: Make, make_key: MakeKey
    ) -> None:
        key = make_key("audit")
        own = make(key.id, idempotency_key="monday")
        clashing = make(idempotency_key="monday")
        other = make(idempotency_key="tuesday")
        assert give(session, LOCAL, key.id).jobs == 2
        for job in (own, clashing, other):
            session.refresh(job)
        found = [job.idempotency_key for job in (own, clashing, other)]
        assert found == ["monday", None, "tuesday"]

    def test_what_makes_no_sense_is_refused(self, session: Session, make_key: MakeKey) -> None:
        key, revoked = make_key("audit"), make_key("audit")
        service.revoke_key(session, revoked.id, actor="cli")
        unknown = "key_01K9ZQ3W8M4V7T2X6B5N0C1DEF"
        cases: list[tuple[str, str, type[Exception]]] = [
            (LOCAL, revoked.id, Invalid),
            (key.id, key.id, Invalid),
            (unknown, key.id, NotFound),
            (LOCAL, unknown, NotFound),
            (LOCAL, LOCAL, NotFound),
        ]
        for of, by, error in cases:
            with pytest.raises(error):
                transfer_ownership(session, of=of, by=by)


class TestEstate:
    @pytest.mark.parametrize(
        ("owned", "told"),
        [
            (Owned(0, 0, 0), "nothing"),
            (Owned(1, 1, 1), "1 job, 1 corpus, 1 model"),
            (Owned(2, 0, 3), "2 jobs, 3 models"),
        ],
    )
    def test_what_is_owned_is_told_in_words(self, owned: Owned, told: str) -> None:
        assert str(owned) == told
