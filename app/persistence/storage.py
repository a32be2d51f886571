"""Files that are too large for rows: uploads, weights, artifacts, checkpoints.

A folder appears whole or not at all: it is built in `staging()` on the same file system and then
renamed. No path is ever made of anything but an id that was checked.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from app.errors import Unavailable
from app.persistence.ids import Prefix, is_id
from app.settings import make_private

# Between the making of a staging folder and its lock lie microseconds.
UNLOCKED_SECONDS = 60.0
LOOK_SECONDS: Final = 0.1
"""Between two looks for a folder."""


class FilesNotVisible(Unavailable):
    """This host does not see files whose row it sees."""

    code = "files_not_visible"


class Storage:
    """The service's folder of files.

    Args:
        wait_seconds: for how long `published` waits; 0 where one host has all the files.
    """

    def __init__(self, root: Path, wait_seconds: float = 0.0) -> None:
        self.root = root.absolute()
        self.wait_seconds = wait_seconds

    def prepare(self) -> None:
        """Make the folders, prove that they can be written, clear away what a crash left behind.

        Raises:
            OSError: naming the folder that cannot.
        """
        make_private(self.root)
        for name in ("jobs", "models", "corpora", "staging"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.check()
        for folder in (self.root / "staging").iterdir():
            if _abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)

    def check(self) -> None:
        """Return if files can be written.

        Raises:
            OSError: they cannot, or the disk is full.
        """
        with tempfile.TemporaryFile(dir=self.root / "staging") as probe:
            probe.write(b"serval")

    def job_dir(self, job_id: str) -> Path:
        """Where a job's files lie. It need not exist yet."""
        others: tuple[Prefix, ...] = ("train", "study")
        prefix: Prefix = next((one for one in others if job_id.startswith(f"{one}_")), "audit")
        return self._folder("jobs", job_id, prefix)

    def model_dir(self, model_id: str) -> Path:
        """Where a registered model's weights and config lie."""
        return self._folder("models", model_id, "model")

    def corpus_dir(self, corpus_id: str) -> Path:
        """Where a corpus' clips and manifest lie."""
        return self._folder("corpora", corpus_id, "corpus")

    def _folder(self, collection: str, name: str, prefix: Prefix) -> Path:
        if not is_id(name, prefix):
            raise ValueError(f"{name!r} is not the id of a {prefix}; no path is made of it")
        return self.root / collection / name

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder to build in. What was not published is gone at the end, or after a crash
        at the next start of any process: the folder is locked as long as this one works in it."""
        parent = self.root / "staging"
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent))
        lock = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # a network file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def publish(self, staged: Path, final: Path) -> None:
        """Make the staged file or folder appear at ``final``, whole, surviving a power cut.

        Raises:
            FileExistsError: ``final`` is there already; it is left as it is.
        """
        if final.exists():
            raise FileExistsError(f"{final} exists already; remove it first")
        final.parent.mkdir(parents=True, exist_ok=True)
        _sync_tree(staged)
        staged.rename(final)
        _sync(final.parent)

    def require(self) -> None:
        """Return if this is a folder of files: rows that go without their files would leave voices
        where nobody looks for them.

        Raises:
            Unavailable: it is none. A mount may be lost while a process runs.
        """
        if not (self.root / "jobs").is_dir():
            raise Unavailable(
                f"SERVAL_DATA_DIR is '{self.root}', where no service keeps its files. Name that of"
                " the service, or mount it again: what is deleted in the database is deleted there,"
                " too.",
                code="files_not_visible",
            )

    def published(self, folder: Path) -> Path:
        """``folder``, of which a row says that it is there; waited for if this host does not see it
        yet.

        Another host renames a folder into place and commits its row then. One that caches what a
        file server said (NFS: lookupcache, acdirmax) may see the row before the folder. Where one
        host has all the files nobody waits: what is absent there is lost, and the caller says so.

        Raises:
            FilesNotVisible: it did not come in time.
        """
        until = time.monotonic() + self.wait_seconds
        while self.wait_seconds and not folder.exists():
            if time.monotonic() >= until:
                raise FilesNotVisible(
                    f"The files of {folder.relative_to(self.root)} are not to be seen on this host"
                    f" after {self.wait_seconds:g} s. Send this again. If that does not help, they"
                    " are lost, or whoever runs the service must mount the folder of all hosts at"
                    " SERVAL_DATA_DIR here.",
                    retry_after=5,
                )
            time.sleep(LOOK_SECONDS)
        return folder

    def remove(self, path: Path) -> None:
        """Make ``path`` vanish at once, then free its space. Nothing happens if it is absent."""
        if not path.is_relative_to(self.root) or path == self.root:
            raise ValueError(f"{path} is not in {self.root}; it is not removed")
        if not path.exists():
            return
        # Suppressed: somebody else was faster.
        with self.staging() as bin_, suppress(FileNotFoundError):
            path.rename(bin_ / path.name)


def _abandoned(folder: Path) -> bool:
    """Whether no process builds in this staging folder any more."""
    try:
        if folder.stat().st_mtime > time.time() - UNLOCKED_SECONDS:
            return False
        lock = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(lock)


def _sync_tree(path: Path) -> None:
    """Sync all that lies under ``path``. Many at a time: the file system then writes one journal
    entry for many files, and a corpus of 5,000 clips takes a fifth of the time."""
    with ThreadPoolExecutor(16) as threads:
        for _ in threads.map(_sync, [*path.rglob("*"), path]):
            pass  # an error is raised here


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
