"""Corpora: take in, read, list, delete; and hand their clips to audits and trainings.

A corpus is a row and a folder. The folder is published whole before the row is committed, and
removed after the row is; `app.persistence.orphans` removes what a crash leaves in between.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import delete as delete_from
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.corpora.importing import Imported, Watch, audio_file, import_archive
from app.corpora.schemas import CorpusRequest
from app.corpora.tables import Corpus
from app.errors import Conflict, Invalid, NotFound, shown
from app.jobs.states import TERMINAL
from app.jobs.tables import Job
from app.persistence import orphans
from app.persistence.ids import is_id, new_id
from app.persistence.storage import Storage
from app.settings import Settings
from models.corpus.dataset import Dataset
from models.corpus.features import FeatureSet
from models.corpus.manifest import Clip, CorpusError, Manifest


@dataclass(frozen=True, slots=True)
class Selection:
    """Clips of a corpus for a network.

    Attributes:
        clips: what is known of each; `path` is what the client called it, for results to show.
        files: its recording, WAV or FLAC, in the same order.
        dataset: features and labels, in the same order.
        left_out: clips of the partition whose emotion the network does not know, by emotion.
    """

    clips: tuple[Clip, ...]
    files: tuple[Path, ...]
    dataset: Dataset
    left_out: dict[str, int]


def create(
    session: Session,
    storage: Storage,
    settings: Settings,
    upload: BinaryIO,
    request: CorpusRequest,
    *,
    owner: str,
    watch: Watch,
) -> Corpus:
    """Take in an archive: the corpus appears whole, or not at all.

    Args:
        upload: the zip archive, seekable.
        watch: told of the progress; what it raises ends the import.

    Raises:
        Invalid: the archive or the corpus is not accepted.
    """
    corpus_id = new_id("corpus")
    final = storage.corpus_dir(corpus_id)
    with storage.staging() as staged:
        folder = staged / corpus_id
        folder.mkdir()
        imported = import_archive(
            upload, folder, format_=request.format, settings=settings, watch=watch
        )
        orphans.mark(folder)
        storage.publish(folder, final)
    corpus = _row(corpus_id, owner, request.name, imported)
    session.add(corpus)
    try:
        session.flush()
    except Exception:
        session.rollback()
        storage.remove(final)
        raise
    # If this fails, the row may be there all the same and only the answer was lost. So the folder
    # stays, with its mark: `orphans.collect` looks what became of the row.
    session.commit()
    orphans.unmark(final)
    return corpus


def _row(corpus_id: str, owner: str, name: str, imported: Imported) -> Corpus:
    manifest = imported.manifest
    return Corpus(
        id=corpus_id,
        owner=owner,
        name=name,
        format=imported.format,
        clips=len(manifest),
        classes=manifest.counts("emotion"),
        speakers=len(manifest.speakers),
        partitions={split: _part(manifest.split(split)) for split in manifest.splits},
        skipped=[{"path": one.path, "reason": one.reason} for one in imported.skipped],
    )


def _part(manifest: Manifest) -> dict[str, Any]:
    return {
        "clips": len(manifest),
        "speakers": len(manifest.speakers),
        "classes": manifest.counts("emotion"),
        "genders": manifest.counts("gender"),
        "seconds": round(sum(clip.duration_s for clip in manifest), 3),
    }


def get(session: Session, corpus_id: str, *, owner: str) -> Corpus:
    """The corpus.

    Raises:
        NotFound: there is none with this id, or it is another key's.
    """
    corpus = session.get(Corpus, corpus_id) if is_id(corpus_id, "corpus") else None
    if corpus is None or corpus.owner != owner:
        raise _absent(corpus_id)
    return corpus


def lock_for_share(session: Session, corpus_id: str) -> None:
    """Keep a corpus that was got from being deleted until the caller's transaction ends.

    PostgreSQL locks the row. SQLite has no such locks and needs none, if the caller has written.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    row = select(Corpus.id).where(Corpus.id == corpus_id)
    if session.scalar(row.with_for_update(read=True, key_share=True)) is None:
        raise _absent(corpus_id)


def _absent(corpus_id: str) -> NotFound:
    return NotFound(f"There is no corpus {shown(corpus_id)}. GET /v1/corpora lists yours.")


def delete(session: Session, storage: Storage, corpus_id: str, *, owner: str) -> None:
    """Delete the corpus. What was made of it, results and models, stays.

    Raises:
        NotFound: as `get`.
        Conflict: unfinished jobs use it.
    """
    corpus = get(session, corpus_id, owner=owner)
    users = (
        Job.owner == owner,
        Job.status.not_in(TERMINAL),
        Job.request["corpus"].as_string() == corpus_id,
    )
    # First wait for submissions that `lock_for_share` it. Only a statement that begins afterwards
    # sees their jobs; and it is one, so that on SQLite nothing comes
    # between the look and the deletion.
    session.execute(select(Corpus.id).where(Corpus.id == corpus.id).with_for_update())
    deleted = session.execute(
        delete_from(Corpus)
        .where(Corpus.id == corpus.id, ~exists().where(*users))
        .returning(Corpus.id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if deleted is not None:
        orphans.mark(storage.corpus_dir(corpus_id))
    session.commit()
    if deleted is None:
        session.expunge(corpus)
        get(session, corpus_id, owner=owner)  # NotFound if another request was faster
        found = list(session.scalars(select(Job.id).where(*users)))
        example = f", e.g. {found[0]}" if found else ""  # they may have ended just now
        raise Conflict(
            f"{len(found)} unfinished jobs use this corpus{example}. Wait for them, or cancel them"
            " first.",
            code="corpus_in_use",
        )
    storage.remove(storage.corpus_dir(corpus_id))


def dataset(storage: Storage, corpus: Corpus, partition: str, labels: Sequence[str]) -> Selection:
    """The clips of a partition for a network.

    Args:
        corpus: its row.
        partition: "train", "dev", "test", or "all".
        labels: emotions in the order of the network's outputs; clips of others are left out.

    Raises:
        Invalid: the corpus lacks the partition or all of the emotions, or its files were damaged.
    """
    folder = storage.corpus_dir(corpus.id)
    splits = () if partition == "all" else (partition,)
    try:
        features = FeatureSet.load(folder)
        chosen, data = features.dataset(labels, *splits)
        whole = features.manifest.split(*splits) if splits else features.manifest
    except CorpusError as error:
        raise Invalid(str(error), code=error.code) from error
    number_of = {clip.path: number for number, clip in enumerate(features.manifest)}
    return Selection(
        clips=chosen.clips,
        files=tuple(audio_file(folder, number_of[clip.path], clip) for clip in chosen),
        dataset=data,
        left_out=dict(Counter(c.emotion for c in whole if c.emotion not in labels)),
    )
