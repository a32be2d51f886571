"""Files appear whole or not at all, and no path is made of what a client sent."""

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest
from redis import Redis

from app.jobs.services import Services
from app.persistence.ids import new_id
from app.persistence.storage import FilesNotVisible, Storage
from app.settings import Settings


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "data")
    storage.prepare()
    return storage


class TestPaths:
    @pytest.mark.parametrize(
        "name", ["", "..", "../x", "audit_../x", "/etc", "corpus_1", "audit_\x00", "cnn4-single"]
    )
    def test_only_an_id_makes_a_path(self, storage: Storage, name: str) -> None:
        for path in (storage.job_dir, storage.model_dir, storage.corpus_dir):
            with pytest.raises(ValueError, match="no path is made of it"):
                path(name)

    def test_each_kind_has_its_own_folder(self, storage: Storage) -> None:
        audit, training = new_id("audit"), new_id("train")
        assert storage.job_dir(audit) == storage.root / "jobs" / audit
        assert storage.job_dir(training) == storage.root / "jobs" / training
        with pytest.raises(ValueError, match="not the id of a model"):
            storage.model_dir(audit)


class TestWhoMayRead:
    def test_an_existing_folder_that_is_open_to_all_is_closed(self, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir(mode=0o755)
        Storage(tmp_path / "data").prepare()
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


class TestAHostThatSeesTheRowFirst:
    """Its file server's client caches that the folder is absent."""

    @pytest.fixture
    def shared(self, storage: Storage) -> Storage:
        storage.wait_seconds = 30.0
        return storage

    def test_waits_for_a_folder_that_comes(self, shared: Storage) -> None:
        folder = shared.model_dir(new_id("model"))
        coming = threading.Timer(0.3, folder.mkdir)
        coming.start()
        assert shared.published(folder) == folder
        assert folder.is_dir()
        coming.join()

    def test_says_after_its_time_that_it_does_not_come(self, shared: Storage) -> None:
        shared.wait_seconds = 0.2
        folder, began = shared.corpus_dir(new_id("corpus")), time.monotonic()
        with pytest.raises(FilesNotVisible, match=f"corpora/{folder.name} are not") as told:
            shared.published(folder)
        assert 0.2 <= time.monotonic() - began < 30
        assert (told.value.status, told.value.headers) == (503, {"Retry-After": "5"})

    def test_leaves_it_to_the_caller_where_one_host_has_all_files(self, storage: Storage) -> None:
        folder = storage.corpus_dir(new_id("corpus"))
        assert storage.published(folder) == folder

    @pytest.mark.parametrize(
        ("database", "seconds"),
        [("sqlite:///absent.db", 0), ("postgresql://127.0.0.1:1/absent", 7)],
    )
    def test_there_are_several_hosts_with_postgresql_alone(
        self, tmp_path: Path, database: str, seconds: float
    ) -> None:
        settings = Settings(
            data_dir=tmp_path, database_url_setting=database, shared_folder_wait_seconds=7
        )
        services = Services.open(settings, Redis())
        assert services.storage.wait_seconds == seconds
        services.close()


class TestPublishing:
    def test_what_was_staged_appears_whole(self, storage: Storage) -> None:
        final = storage.model_dir(new_id("model"))
        with storage.staging() as folder:
            (folder / "weights").write_bytes(b"1")
            assert not final.exists()
            storage.publish(folder, final)
        assert (final / "weights").read_bytes() == b"1"

    def test_what_was_not_published_is_gone(self, storage: Storage) -> None:
        with contextlib.suppress(RuntimeError), storage.staging() as folder:
            (folder / "half").touch()
            raise RuntimeError
        assert list((storage.root / "staging").iterdir()) == []

    def test_nothing_is_overwritten(self, storage: Storage) -> None:
        final = storage.model_dir(new_id("model"))
        final.mkdir()
        (final / "kept").touch()
        with storage.staging() as folder, pytest.raises(FileExistsError, match="exists already"):
            storage.publish(folder, final)
        assert (final / "kept").exists()


class TestRemoving:
    def test_a_removed_folder_vanishes_and_twice_is_once(self, storage: Storage) -> None:
        folder = storage.job_dir(new_id("audit"))
        folder.mkdir()
        (folder / "x").touch()
        for _ in range(2):
            storage.remove(folder)
        assert not folder.exists()
        assert list((storage.root / "staging").iterdir()) == []

    @pytest.mark.parametrize("path", ["/", "/tmp", "."])
    def test_nothing_outside_is_removed(self, storage: Storage, path: str) -> None:
        with pytest.raises(ValueError, match="it is not removed"):
            storage.remove(Path(path).absolute())
        with pytest.raises(ValueError, match="it is not removed"):
            storage.remove(storage.root)


class TestAfterACrash:
    def test_an_old_folder_that_nobody_builds_in_is_cleared(self, storage: Storage) -> None:
        left = storage.root / "staging" / "left"
        left.mkdir()
        os.utime(left, (0, 0))
        storage.prepare()
        assert not left.exists()

    def test_one_that_another_builds_in_is_not(self, storage: Storage) -> None:
        with storage.staging() as folder:
            os.utime(folder, (0, 0))
            storage.prepare()
            assert folder.exists()


class TestCheck:
    def test_a_missing_folder_is_told(self, storage: Storage) -> None:
        storage.check()
        (storage.root / "staging").rmdir()
        with pytest.raises(OSError, match="staging"):
            storage.check()
