"""Corpora whose recordings corruptions take: background noises."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from app.corpora import service as corpora
from app.corpora.importing import audio_file
from app.corpora.tables import Corpus
from app.errors import Invalid, NotFound
from app.persistence.storage import Storage
from models.corpus.manifest import CorpusError
from models.corruptions import Corruption


def check(
    session: Session,
    storage: Storage,
    corruptions: Sequence[Corruption],
    field: str,
    *,
    owner: str,
) -> tuple[Corpus, ...]:
    """The corpora that these corruptions take recordings of.

    Args:
        field: of the request that holds them.

    Raises:
        Invalid: naming the field; there is no such corpus, it is another key's, or its recordings
            are not at hand.
    """
    found: dict[str, Corpus] = {}
    for number, corruption in enumerate(corruptions):
        for source in corruption.sources:
            where = f"{field}.{number}.corpus"
            try:
                found[source] = corpora.get(session, source, owner=owner)
            except NotFound as error:
                raise Invalid.of(
                    where,
                    source,
                    "there is no such corpus",
                    "give one of those that GET /v1/corpora lists",
                    code="unknown_corpus",
                ) from error
            if not all(path.is_file() for path in recordings(storage, found[source])):
                raise Invalid.of(
                    where,
                    source,
                    "the recordings of the corpus are not at hand",
                    "upload it again, or take the colour babble of noise instead",
                    code="no_recordings",
                )
    return tuple(found.values())


def recordings(storage: Storage, corpus: Corpus) -> tuple[Path, ...]:
    """Where all recordings of a corpus lie, in its order.

    Raises:
        Invalid: its files were damaged.
    """
    folder = storage.published(storage.corpus_dir(corpus.id))
    try:
        manifest = corpora.read_manifest(folder)
    except (CorpusError, OSError) as error:
        code = error.code if isinstance(error, CorpusError) else "bad_features"
        raise Invalid(str(error), code=code) from error
    return tuple(audio_file(folder, number, clip) for number, clip in enumerate(manifest))
