"""When two corpora are the same data, whatever they are called."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.persistence.storage import Storage
from models.corpus.features import FRAMES_NAME, INDEX_NAME

CONTENT: Final = (INDEX_NAME, FRAMES_NAME)
"""What trainings learn from; recordings vary with them."""


def digest(storage: Storage, corpus: Corpus) -> str:
    """SHA-256 of what a corpus consists of: its index and its features. Half a gigabyte takes a
    second, once a process.

    Raises:
        Invalid: its files are gone.
    """
    folder = storage.published(storage.corpus_dir(corpus.id))
    with corpora.faults_of(corpus, None):
        stats = [(folder / name).stat() for name in CONTENT]
        return _digest(folder, tuple((one.st_mtime_ns, one.st_size) for one in stats))


@lru_cache(maxsize=64)
def _digest(folder: Path, stats: tuple[tuple[int, int], ...]) -> str:  # noqa: ARG001  (the key)
    found = hashlib.sha256()
    for name in CONTENT:
        with (folder / name).open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()
