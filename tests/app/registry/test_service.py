"""The registry's functions, without HTTP: what workers call."""

from pathlib import Path

import pytest
import torch
from sqlalchemy import delete
from sqlalchemy.orm import Session, sessionmaker

from app.errors import Conflict, Forbidden, Invalid, NotFound, ServalError
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence import orphans
from app.persistence.ids import new_id
from app.persistence.storage import Storage
from app.registry import service as registry
from app.registry.tables import Model
from models.checkpoint import WEIGHTS, weights_bytes
from tests.app.tiny import tiny_config, tiny_net


@pytest.fixture(autouse=True)
def _tiny(tiny_architecture: None) -> None:
    """Every test here registers tiny models."""


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "data")
    storage.prepare()
    return storage


def collect(session: Session, storage: Storage, older_than: float = -1) -> int:
    maker = sessionmaker(session.get_bind())
    return orphans.collect(maker, storage, "models", Model.id, older_than=older_than)


def publish(session: Session, storage: Storage, owner: str = "key_me", name: str = "mine") -> str:
    row = registry.publish(session, storage, tiny_net(), tiny_config(), owner=owner, name=name)
    session.commit()
    return row.id


class TestPublish:
    def test_what_was_published_is_loaded_again(self, session: Session, storage: Storage) -> None:
        net = tiny_net()
        row = registry.publish(session, storage, net, tiny_config(), owner="key_me", name="mine")
        session.commit()
        entry = registry.get(session, storage, row.id, owner="key_me")
        loaded = registry.load_entry(entry)
        assert entry.config == tiny_config()
        assert not loaded.training
        torch.testing.assert_close(loaded.state_dict(), net.eval().state_dict(), rtol=0, atol=0)

    def test_nothing_is_visible_if_the_transaction_is_rolled_back(
        self, session: Session, storage: Storage
    ) -> None:
        row = registry.publish(session, storage, tiny_net(), tiny_config(), owner="me", name="mine")
        session.rollback()
        with pytest.raises(NotFound):
            registry.get(session, storage, row.id, owner="me")

    def test_a_folder_without_a_row_is_swept_but_not_while_it_may_get_one(
        self, session: Session, storage: Storage
    ) -> None:
        kept = publish(session, storage)
        lost = registry.publish(
            session, storage, tiny_net(), tiny_config(), owner="me", name="x"
        ).id
        session.rollback()
        session.commit()  # of something else, which does not make it one that has a row
        assert collect(session, storage, older_than=3600) == 0
        assert collect(session, storage) == 1
        assert storage.model_dir(kept).exists()
        assert not storage.model_dir(lost).exists()

    def test_the_models_of_another_database_are_never_taken_for_orphans(
        self, session: Session, storage: Storage
    ) -> None:
        trained = publish(session, storage)
        uploaded = registry.register(
            session,
            storage,
            weights_bytes(tiny_net()),
            tiny_config().to_json().encode(),
            owner="key_me",
            name=None,
        ).id
        session.execute(delete(Model))
        session.commit()
        assert collect(session, storage) == 0
        assert all(storage.model_dir(one).exists() for one in (trained, uploaded))

    def test_what_a_crash_left_of_a_removal_is_swept(
        self, session: Session, storage: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model_id = publish(session, storage)
        monkeypatch.setattr(storage, "remove", lambda _: None)
        registry.remove(session, storage, model_id, owner="key_me")
        monkeypatch.undo()
        assert storage.model_dir(model_id).exists()
        assert collect(session, storage) == 1
        assert not storage.model_dir(model_id).exists()


class TestGet:
    def test_another_owners_model_does_not_exist(self, session: Session, storage: Storage) -> None:
        model_id = publish(session, storage, owner="key_other")
        with pytest.raises(NotFound, match=model_id):
            registry.get(session, storage, model_id, owner="key_me")

    def test_a_starter_is_everybodys(
        self, session: Session, storage: Storage, starters: Path
    ) -> None:
        entry = registry.get(session, storage, "tiny-a", owner="anybody")
        assert entry.owner is None
        assert entry.folder == starters / "tiny-a"

    @pytest.mark.parametrize("name", ["", "..", "../tiny-a", "/etc", "model_x", "a\0b", "tiny-c"])
    def test_any_other_name_is_unknown(
        self, session: Session, storage: Storage, starters: Path, name: str
    ) -> None:
        with pytest.raises(NotFound):
            registry.get(session, storage, name, owner="key_me")

    def test_weights_that_changed_on_the_disk_are_refused(
        self, session: Session, storage: Storage
    ) -> None:
        model_id = publish(session, storage)
        weights = storage.model_dir(model_id) / WEIGHTS
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
        entry = registry.get(session, storage, model_id, owner="key_me")
        with pytest.raises(ServalError, match="not those that were registered"):
            registry.load_entry(entry)


class TestList:
    def test_ones_own_newest_first_and_then_the_starters(
        self, session: Session, storage: Storage, starters: Path
    ) -> None:
        mine = [publish(session, storage) for _ in range(3)]
        publish(session, storage, owner="key_other")
        found, more = registry.list_page(session, storage, owner="key_me")
        assert [entry.id for entry in found] == [*reversed(mine), "tiny-a", "tiny-b"]
        assert not more

    def test_pages_join_without_a_gap(
        self, session: Session, storage: Storage, starters: Path
    ) -> None:
        for _ in range(3):
            publish(session, storage)
        whole, _ = registry.list_page(session, storage, owner="key_me")
        seen: list[str] = []
        more = True
        while more:
            after = seen[-1] if seen else None
            page, more = registry.list_page(session, storage, owner="key_me", after=after, limit=2)
            assert 1 <= len(page) <= 2
            seen += [entry.id for entry in page]
        assert seen == [entry.id for entry in whole]

    def test_an_after_that_is_not_ones_own_is_refused(
        self, session: Session, storage: Storage
    ) -> None:
        other = publish(session, storage, owner="key_other")
        for after in (other, new_id("model"), "nonsense"):
            with pytest.raises(Invalid, match="after="):
                registry.list_page(session, storage, owner="key_me", after=after)


class TestRemove:
    def test_row_and_files_are_gone(self, session: Session, storage: Storage) -> None:
        model_id = publish(session, storage)
        registry.remove(session, storage, model_id, owner="key_me")
        assert session.get(Model, model_id, populate_existing=True) is None
        assert not storage.model_dir(model_id).exists()

    def test_a_starter_stays(self, session: Session, storage: Storage, starters: Path) -> None:
        with pytest.raises(Forbidden):
            registry.remove(session, storage, "tiny-a", owner="key_me")
        assert (starters / "tiny-a" / WEIGHTS).exists()

    def test_a_model_of_an_unfinished_job_stays(self, session: Session, storage: Storage) -> None:
        model_id = publish(session, storage)
        job = Job(
            id=new_id("audit"), kind=JobKind.AUDIT, owner="key_me", model=model_id, request={}
        )
        session.add(job)
        session.commit()
        with pytest.raises(Conflict, match=job.id):
            registry.remove(session, storage, model_id, owner="key_me")
        assert registry.get(session, storage, model_id, owner="key_me").config == tiny_config()
        job.status = JobStatus.SUCCEEDED
        session.commit()
        registry.remove(session, storage, model_id, owner="key_me")

    def test_another_owners_model_cannot_be_removed(
        self, session: Session, storage: Storage
    ) -> None:
        model_id = publish(session, storage, owner="key_other")
        with pytest.raises(NotFound):
            registry.remove(session, storage, model_id, owner="key_me")
        assert storage.model_dir(model_id).exists()
