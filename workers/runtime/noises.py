"""Recordings of corpora that corruptions take."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from torch import Tensor

from app.corpora import noises
from app.corpora import service as corpora
from app.errors import NotFound
from models.corruptions import Corruption, Recordings
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed
from workers.runtime.recordings import recording
from workers.runtime.retries import retry_while_database_is_away

KEPT: Final = 32
"""Recordings that stay decoded: each strength of a chunk of clips asks for the same ones."""


class CorpusRecordings:
    """See :class:`models.corruptions.Recordings`.

    Args:
        corpus: its id.
        paths: of its recordings.
    """

    def __init__(self, corpus: str, paths: tuple[Path, ...]) -> None:
        self._corpus = corpus
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return _read(self.paths[index], self._corpus)


@lru_cache(maxsize=KEPT)
def _read(path: Path, corpus: str) -> Tensor:
    return recording(path, f"A recording of {corpus}", "Upload the corpus again.")


def find(
    context: WorkerContext, corruptions: Iterable[Corruption], *, owner: str
) -> Mapping[str, Recordings]:
    """The recordings that these corruptions take, by corpus.

    Raises:
        JobFailed: a corpus was deleted (code ``corpus_deleted``).
        Invalid: its files were damaged.
    """
    sources = sorted({source for one in corruptions for source in one.sources})

    def paths(source: str) -> tuple[Path, ...]:
        with context.sessions() as session:
            corpus = corpora.get(session, source, owner=owner)
            return noises.recordings(context.storage, corpus)

    found = {}
    for source in sources:
        try:
            known = retry_while_database_is_away(lambda source=source: paths(source))  # type: ignore[misc]
        except NotFound as error:
            raise JobFailed(
                "corpus_deleted",
                f"The corpus of noises {source} was deleted before the job began. Upload it again.",
            ) from error
        found[source] = CorpusRecordings(source, known)
    return found
