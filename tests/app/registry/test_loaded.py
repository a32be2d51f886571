"""Which models are in memory, and for whom."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import torch
from sqlalchemy.orm import Session, sessionmaker

from app.detectors import service as attaching
from app.errors import NotFound
from app.persistence.storage import Storage
from app.registry import loaded as loaded_module
from app.registry import service as registry
from app.registry.loaded import LoadedModels
from app.registry.service import Entry
from app.registry.tables import Model
from models.architectures import SpectrogramNet
from tests.app.detectors.made import add_training
from tests.app.tiny import tiny_config, tiny_net

Test = Callable[[], Awaitable[None]]


@pytest.fixture(autouse=True)
def _starters(starters: Path) -> None:
    """Every test here sees the starters tiny-a and tiny-b."""


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "data")
    storage.prepare()
    return storage


@pytest.fixture
def maker(session: Session) -> sessionmaker[Session]:
    return sessionmaker(session.get_bind(), expire_on_commit=False)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the models that were read from the disk, in order."""
    seen: list[str] = []
    original = registry.load_entry

    def counted(entry: Entry) -> SpectrogramNet:
        seen.append(entry.id)
        return original(entry)

    monkeypatch.setattr(registry, "load_entry", counted)
    return seen


def cache(
    maker: sessionmaker[Session], storage: Storage, *, most: int = 8, most_bytes: int = 2**30
) -> LoadedModels:
    return LoadedModels(
        maker, storage, device=torch.device("cpu"), most=most, most_bytes=most_bytes
    )


def slow_loads(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Let every load wait. Returns what tells that one has begun, and what lets them go on."""
    loading, may_load = threading.Event(), threading.Event()
    original = registry.load_entry

    def slowly(entry: Entry) -> SpectrogramNet:
        loading.set()
        assert may_load.wait(10)
        return original(entry)

    monkeypatch.setattr(registry, "load_entry", slowly)
    return loading, may_load


def publish(session: Session, storage: Storage, owner: str = "key_me") -> str:
    row = registry.publish(session, storage, tiny_net(), tiny_config(), owner=owner, name="x")
    session.commit()
    return row.id


def guardable(session: Session, storage: Storage) -> tuple[str, str]:
    """The ids of a model and of a training of a detector for it."""
    model_id = publish(session, storage)
    told = {"id": model_id, "sha256": session.get_one(Model, model_id).sha256}
    return model_id, add_training(session, storage, told, owner="key_me")


class TestGet:
    def test_a_model_is_loaded_once(
        self, maker: sessionmaker[Session], storage: Storage, loads: list[str]
    ) -> None:
        async def test() -> None:
            models = cache(maker, storage)
            first = await models.get("tiny-a", owner="me")
            assert await models.get("tiny-a", owner="you") is first
            assert first.network(torch.zeros(1, 32, 64)).shape == (1, 3)

        asyncio.run(test())
        assert loads == ["tiny-a"]

    def test_an_adopted_model_is_the_adopters_alone(
        self, session: Session, maker: sessionmaker[Session], storage: Storage, loads: list[str]
    ) -> None:
        model_id = publish(session, storage)

        async def test() -> None:
            models = cache(maker, storage)
            await models.get(model_id, owner="key_me")
            session.get_one(Model, model_id).owner = "key_you"
            session.commit()
            await models.get(model_id, owner="key_you")
            with pytest.raises(NotFound):
                await models.get(model_id, owner="key_me")

        asyncio.run(test())
        assert loads == [model_id]

    def test_a_detector_that_another_process_attached_is_heard_of(
        self,
        session: Session,
        maker: sessionmaker[Session],
        storage: Storage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        model_id, training = guardable(session, storage)

        async def test() -> None:
            models = cache(maker, storage)
            assert (await models.get(model_id, owner="key_me")).detector is None
            attaching.attach(session, storage, model_id, training, owner="key_me")
            monkeypatch.setattr(loaded_module, "RECHECK_SECONDS", 0)
            with_one = await models.get(model_id, owner="key_me")
            assert with_one.detector is not None
            assert await models.get(model_id, owner="key_me") is with_one
            attaching.detach(session, storage, model_id, owner="key_me")
            assert (await models.get(model_id, owner="key_me")).detector is None

        asyncio.run(test())

    def test_ten_who_ask_at_once_wait_for_one_load(
        self, maker: sessionmaker[Session], storage: Storage, loads: list[str]
    ) -> None:
        async def test() -> None:
            models = cache(maker, storage)
            found = await asyncio.gather(*(models.get("tiny-a", owner="me") for _ in range(10)))
            assert len(set(map(id, found))) == 1

        asyncio.run(test())
        assert loads == ["tiny-a"]

    def test_one_who_leaves_does_not_stop_the_load_for_others(
        self,
        maker: sessionmaker[Session],
        storage: Storage,
        loads: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        loading, may_load = slow_loads(monkeypatch)

        async def test() -> None:
            models = cache(maker, storage)
            leaving = asyncio.create_task(models.get("tiny-a", owner="me"))
            staying = asyncio.create_task(models.get("tiny-a", owner="me"))
            assert await asyncio.to_thread(loading.wait, 10)
            leaving.cancel()
            may_load.set()
            assert (await staying).id == "tiny-a"

        asyncio.run(test())
        assert loads == ["tiny-a"]

    def test_another_owners_is_not_found_loaded_or_not(
        self, session: Session, maker: sessionmaker[Session], storage: Storage
    ) -> None:
        model_id = publish(session, storage)

        async def test() -> None:
            models = cache(maker, storage)
            with pytest.raises(NotFound):
                await models.get(model_id, owner="key_you")
            assert (await models.get(model_id, owner="key_me")).id == model_id
            with pytest.raises(NotFound):
                await models.get(model_id, owner="key_you")
            assert (await models.get(model_id, owner="key_me")).id == model_id

        asyncio.run(test())

    def test_the_event_loop_goes_on_while_a_model_loads(
        self,
        maker: sessionmaker[Session],
        storage: Storage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        loading, may_load = slow_loads(monkeypatch)

        async def test() -> None:
            models = cache(maker, storage)
            getting = asyncio.create_task(models.get("tiny-a", owner="me"))
            assert await asyncio.to_thread(loading.wait, 10)
            assert not getting.done()
            may_load.set()
            await getting

        asyncio.run(test())


class TestRecheck:
    """A detector is attached or detached while a prediction waits for the model to load."""

    def test_who_waits_gets_the_model_and_who_asks_afterwards_the_new_detector(
        self,
        session: Session,
        maker: sessionmaker[Session],
        storage: Storage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        model_id, training = guardable(session, storage)
        loading, may_load = slow_loads(monkeypatch)

        async def test() -> None:
            models = cache(maker, storage)
            waiting = asyncio.create_task(models.get(model_id, owner="key_me"))
            assert await asyncio.to_thread(loading.wait, 10)
            attaching.attach(session, storage, model_id, training, owner="key_me")
            models.recheck()
            after = asyncio.create_task(models.get(model_id, owner="key_me"))
            may_load.set()
            assert (await waiting).detector is None
            assert (await after).detector is not None
            assert await models.get(model_id, owner="key_me") is await after

        asyncio.run(test())

    def test_the_files_of_one_that_was_detached_are_not_missed(
        self,
        session: Session,
        maker: sessionmaker[Session],
        storage: Storage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        model_id, training = guardable(session, storage)
        attaching.attach(session, storage, model_id, training, owner="key_me")
        loading, may_load = slow_loads(monkeypatch)

        async def test() -> None:
            models = cache(maker, storage)
            waiting = asyncio.create_task(models.get(model_id, owner="key_me"))
            assert await asyncio.to_thread(loading.wait, 10)
            attaching.detach(session, storage, model_id, owner="key_me")
            models.recheck()
            may_load.set()
            assert (await waiting).detector is None

        asyncio.run(test())

    def test_a_kept_one_is_heard_of_at_once(
        self, session: Session, maker: sessionmaker[Session], storage: Storage, loads: list[str]
    ) -> None:
        model_id, training = guardable(session, storage)

        async def test() -> None:
            models = cache(maker, storage)
            await models.get(model_id, owner="key_me")
            attaching.attach(session, storage, model_id, training, owner="key_me")
            models.recheck()
            assert (await models.get(model_id, owner="key_me")).detector is not None
            models.recheck()
            await models.get(model_id, owner="key_me")

        asyncio.run(test())
        assert loads == [model_id, model_id]


class TestRoom:
    def test_the_one_not_used_for_longest_makes_room(
        self, session: Session, maker: sessionmaker[Session], storage: Storage, loads: list[str]
    ) -> None:
        mine = publish(session, storage)

        async def test() -> None:
            models = cache(maker, storage, most=2)
            for model_id in ("tiny-a", mine, "tiny-a", "tiny-b", "tiny-a", mine):
                await models.get(model_id, owner="key_me")
            assert len(models) == 2

        asyncio.run(test())
        assert loads == ["tiny-a", mine, "tiny-b", mine]

    def test_bytes_count_too_but_the_one_in_use_stays(
        self, maker: sessionmaker[Session], storage: Storage
    ) -> None:
        async def test() -> None:
            models = cache(maker, storage, most_bytes=1)
            await models.get("tiny-a", owner="me")
            assert len(models) == 1
            await models.get("tiny-b", owner="me")
            assert len(models) == 1
            assert models.size == sum(tensor.nbytes for tensor in tiny_net().state_dict().values())

        asyncio.run(test())


class TestDeleted:
    def test_a_forgotten_one_is_looked_up_again(
        self, session: Session, maker: sessionmaker[Session], storage: Storage
    ) -> None:
        model_id = publish(session, storage)

        async def test() -> None:
            models = cache(maker, storage)
            await models.get(model_id, owner="key_me")
            registry.remove(session, storage, model_id, owner="key_me")
            models.forget(model_id)
            assert len(models) == 0
            with pytest.raises(NotFound):
                await models.get(model_id, owner="key_me")

        asyncio.run(test())

    def test_one_deleted_by_another_process_is_noticed_in_time(
        self,
        session: Session,
        maker: sessionmaker[Session],
        storage: Storage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        model_id = publish(session, storage)

        async def test() -> None:
            models = cache(maker, storage)
            await models.get(model_id, owner="key_me")
            registry.remove(session, storage, model_id, owner="key_me")
            await models.get(model_id, owner="key_me")
            monkeypatch.setattr(loaded_module, "RECHECK_SECONDS", 0.0)
            with pytest.raises(NotFound):
                await models.get(model_id, owner="key_me")
            assert len(models) == 0

        asyncio.run(test())

    def test_one_deleted_while_it_loads_is_not_found(
        self,
        session: Session,
        maker: sessionmaker[Session],
        storage: Storage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        model_id = publish(session, storage)
        loading, may_load = slow_loads(monkeypatch)

        async def test() -> None:
            models = cache(maker, storage)
            getting = asyncio.create_task(models.get(model_id, owner="key_me"))
            assert await asyncio.to_thread(loading.wait, 10)
            models.forget(model_id)
            may_load.set()
            with pytest.raises(NotFound, match="was deleted while"):
                await getting
            assert len(models) == 0

        asyncio.run(test())
