"""The installation's key: made once, whoever comes first, and never half."""

import multiprocessing
import os
import signal
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.errors import Conflict
from app.persistence.storage import Storage
from app.signing.ed25519 import fingerprint, private_pem, public_pem
from app.signing.key_store import KeyDamaged, KeyStore

PROCESSES = 6
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "data")
    storage.prepare()
    return storage


def name(store: KeyStore) -> str:
    return fingerprint(store.current().public_key())


def private_files(storage: Storage) -> list[str]:
    return sorted(
        str(path.relative_to(storage.root)) for path in storage.root.rglob("*private.pem")
    )


class TestFirstUse:
    def test_makes_a_key_that_stays(self, storage: Storage) -> None:
        first = name(KeyStore(storage))
        assert name(KeyStore(Storage(storage.root))) == first
        assert private_files(storage) == ["signing/key-0001/private.pem"]

    def test_nobody_else_may_read_it(self, storage: Storage) -> None:
        before = os.umask(0)
        try:
            KeyStore(storage).current()
        finally:
            os.umask(before)
        path = storage.root / "signing" / "key-0001" / "private.pem"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_its_public_key_is_known_before_it_signs(self, storage: Storage) -> None:
        store = KeyStore(storage)
        assert store.known() == {}
        key = store.current()
        assert {one: public_pem(known) for one, known in store.known().items()} == {
            fingerprint(key.public_key()): public_pem(key.public_key())
        }


class TestSeveralProcesses:
    def test_that_need_the_first_key_at_once_get_the_same(self, storage: Storage) -> None:
        together, told = FORK.Barrier(PROCESSES), FORK.Queue()
        processes = [
            FORK.Process(target=_first_use, args=(storage.root, together, told))
            for _ in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        found = {told.get(timeout=30) for _ in processes}
        for process in processes:
            process.join(30)
        assert found == {name(KeyStore(storage))}
        assert private_files(storage) == ["signing/key-0001/private.pem"]

    @pytest.mark.parametrize("step", ["publish", "_remember"])
    def test_one_that_is_killed_on_the_way_leaves_nothing_that_counts(
        self, storage: Storage, step: str
    ) -> None:
        process = FORK.Process(target=_killed_at, args=(storage.root, step))
        process.start()
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
        store = KeyStore(storage)
        assert store.known() == {}
        found = name(store)
        assert list(store.known()) == [found]
        assert name(KeyStore(storage)) == found

    def test_a_reader_never_meets_a_key_that_is_half_rotated(self, storage: Storage) -> None:
        store, ended = KeyStore(storage), threading.Event()
        store.current()

        def read() -> int:
            reads = 0
            while not ended.is_set():
                assert name(store) in store.known()
                reads += 1
            return reads

        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(read)
            try:
                for _ in range(8):
                    KeyStore(storage).rotate()
            finally:
                ended.set()
            assert reading.result(30) > 0
        assert len(store.known()) == 9
        assert private_files(storage) == ["signing/key-0009/private.pem"]


def _first_use(root: Path, together: Barrier, told: "Queue[str]") -> None:
    store = KeyStore(Storage(root))
    together.wait(30)
    told.put(name(store))


def _killed_at(root: Path, step: str) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    storage = Storage(root)
    store = KeyStore(storage)
    setattr(storage if step == "publish" else store, step, die)
    store.current()


class TestRotation:
    def test_the_key_before_is_destroyed_and_stays_known(self, storage: Storage) -> None:
        store = KeyStore(storage)
        before = name(store)
        after = fingerprint(store.rotate().public_key())
        assert after != before
        assert name(KeyStore(storage)) == after
        assert set(store.known()) == {before, after}
        assert private_files(storage) == ["signing/key-0002/private.pem"]

    def test_of_two_at_once_one_is_told(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = KeyStore(storage)
        slow.current()
        seen = slow._numbers()
        KeyStore(storage).rotate()
        current = name(KeyStore(storage))
        monkeypatch.setattr(slow, "_numbers", lambda: seen)
        monkeypatch.setattr(slow, "current", lambda: None)
        with pytest.raises(Conflict) as refused:
            slow.rotate()
        assert refused.value.code == "signing_key_rotated"
        assert name(KeyStore(storage)) == current


class TestDamage:
    @pytest.mark.parametrize("content", [b"", b"nothing", b"\xff" * 200])
    def test_a_key_that_cannot_be_read_is_named_and_not_replaced(
        self, storage: Storage, content: bytes
    ) -> None:
        store = KeyStore(storage)
        store.current()
        path = storage.root / "signing" / "key-0001" / "private.pem"
        path.write_bytes(content)
        for use in (store.current, store.rotate):
            with pytest.raises(KeyDamaged, match=r"key-0001/private\.pem.*backup"):
                use()
        assert path.read_bytes() == content

    def test_a_key_whose_file_went_is_not_replaced_either(self, storage: Storage) -> None:
        store = KeyStore(storage)
        store.current()
        (storage.root / "signing" / "key-0001" / "private.pem").unlink()
        with pytest.raises(KeyDamaged, match=r"key-0001/private\.pem"):
            store.current()

    def test_a_known_key_under_anothers_name_is_refused(self, storage: Storage) -> None:
        store = KeyStore(storage)
        store.current()
        other = public_pem(Ed25519PrivateKey.generate().public_key())
        (storage.root / "signing" / "known" / f"{'0' * 64}.pem").write_text(other)
        with pytest.raises(KeyDamaged, match="another key than its name says"):
            store.known()


class TestGivenKey:
    def test_it_signs_and_is_known_and_none_is_made(self, storage: Storage) -> None:
        key = Ed25519PrivateKey.generate()
        store = KeyStore(storage, private_pem(key).decode())
        assert name(store) == fingerprint(key.public_key())
        assert list(store.known()) == [fingerprint(key.public_key())]
        assert private_files(storage) == []

    def test_one_that_takes_its_place_leaves_it_known(self, storage: Storage) -> None:
        made = name(KeyStore(storage))
        keys = [Ed25519PrivateKey.generate() for _ in range(2)]
        names = [name(KeyStore(storage, private_pem(key).decode())) for key in keys]
        assert set(KeyStore(storage).known()) == {made, *names}

    def test_it_is_rotated_where_it_was_given(self, storage: Storage) -> None:
        store = KeyStore(storage, private_pem(Ed25519PrivateKey.generate()).decode())
        with pytest.raises(Conflict, match="SERVAL_SIGNING_KEY_FILE") as refused:
            store.rotate()
        assert refused.value.code == "signing_key_given"
