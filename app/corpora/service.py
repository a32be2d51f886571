"""Corpora: take in, read, list, delete; and hand their clips to audits and trainings.

A corpus is a row and a folder. The folder is published whole before the row is committed, and
removed after the row is; `app.persistence.orphans` removes what a crash leaves in between.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy import String, cast, exists, select
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Session

from app.access import allowance
from app.access.allowance import Allowance
from app.access.deletions import service as deletions
from app.access.deletions.service import Order
from app.corpora.importing import Imported, Watch, audio_file, import_archive
from app.corpora.schemas import CorpusRequest
from app.corpora.tables import Corpus
from app.errors import Conflict, Invalid, NotFound, shown
from app.jobs.states import TERMINAL
from app.jobs.tables import Job
from app.persistence import orphans
from app.persistence.ids import is_id, new_id
from app.persistence.kept import freed_bytes, tree_size
from app.persistence.storage import Storage
from app.settings import Settings
from models.audio import Condition
from models.corpus.conditions import read_conditions
from models.corpus.features import FeatureFile, read_skipped
from models.corpus.folds import OF_FOLDS, Fold
from models.corpus.index import INDEX_NAME, read_index
from models.corpus.manifest import Clip, CorpusError, Manifest, Skipped
from models.corpus.remarks import Part

MOST_SKIPPED: Final = 100
"""Files that were left out and stand in the corpus itself; `skipped` has them all."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Clips of a corpus for a model.

    Attributes:
        clips: what is known of each; `path` is what the client called it, for results to show.
        recordings: WAV or FLAC of each, in the same order.
        numbers: of each in the corpus, as `frames` counts them.
        frames: the log-mels of all clips of the corpus.
        conditions: of the recordings, in the same order as the clips; None if they are not known.
        left_out: clips of the partition whose emotion the model does not know, by emotion.
    """

    clips: tuple[Clip, ...]
    recordings: tuple[Path, ...]
    numbers: tuple[int, ...]
    frames: FeatureFile
    conditions: tuple[Condition, ...] | None
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
        TooMany: the owner would keep more bytes than it may.
    """
    most = Allowance.of(settings)
    allowance.check_bytes(session, owner, most)  # what is full already need not be unpacked into
    session.rollback()  # no connection is held while clips are decoded
    corpus_id = new_id("corpus")
    final = storage.corpus_dir(corpus_id)
    with storage.staging() as staged:
        folder = staged / corpus_id
        folder.mkdir()
        imported = import_archive(upload, folder, request=request, settings=settings, watch=watch)
        size = tree_size(folder)
        orphans.mark(folder)
        storage.publish(folder, final)
    corpus = _row(corpus_id, owner, request.name, imported, size)
    session.add(corpus)
    try:
        session.flush()
        allowance.check_bytes(session, owner, most, size)
    except Exception:
        session.rollback()
        storage.remove(final)
        raise
    # If this fails, the row may be there all the same and only the answer was lost. So the folder
    # stays, with its mark: `orphans.collect` looks what became of the row.
    session.commit()
    orphans.unmark(final)
    return corpus


def _row(corpus_id: str, owner: str, name: str, imported: Imported, size: int) -> Corpus:
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
        skipped=[asdict(one) for one in imported.skipped[:MOST_SKIPPED]],
        skipped_counts=dict(sorted(Counter(one.code for one in imported.skipped).items())),
        bytes=size,
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


def delete(
    session: Session,
    storage: Storage,
    corpus_id: str,
    *,
    owner: str,
    order: Order | None = None,
) -> int:
    """Delete the corpus. What was made of it, results and models, stays.

    Args:
        order: whose wish it is, for the trail; the owner's if None.

    Returns:
        The bytes of its files.

    Raises:
        NotFound: as `get`.
        Conflict: unfinished jobs use it.
    """
    corpus = get(session, corpus_id, owner=owner)
    users = (
        Job.owner == owner,
        Job.status.not_in(TERMINAL),
        # Also as noises of a corruption, wherever in the request: an id is found nowhere else.
        cast(Job.request, String).contains(f'"{corpus_id}"', autoescape=True),
    )
    # First wait for submissions that `lock_for_share` it. Only a statement that begins afterwards
    # sees their jobs; and it is one, so that on SQLite nothing comes
    # between the look and the deletion.
    session.execute(select(Corpus.id).where(Corpus.id == corpus.id).with_for_update())
    deleted = session.execute(
        delete_from(Corpus)
        .where(Corpus.id == corpus.id, ~exists().where(*users))
        .returning(Corpus.bytes)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    folder = storage.corpus_dir(corpus_id)
    freed = 0
    if deleted is not None:
        freed = freed_bytes(deleted.bytes, folder)
        by = order or Order(owner)
        deletions.record(session, by, "corpus", corpus_id, owner=owner, freed=freed)
        orphans.mark(folder)
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
    storage.remove(folder)
    return freed


def skipped(storage: Storage, corpus: Corpus) -> tuple[Skipped, ...]:
    """Every file of the archive that is not among the clips.

    Raises:
        NotFound: the corpus's files are gone or damaged.
    """
    folder = storage.published(storage.corpus_dir(corpus.id))
    try:
        return read_skipped(folder)
    except (OSError, ValueError, TypeError) as error:
        raise NotFound(
            f"The list of skipped files of {corpus.id} cannot be read. Upload the corpus again."
        ) from error


def read_manifest(folder: Path, fold: Fold | None = None) -> Manifest:
    """What a corpus contains. A submission asks several times and the file is read once: corpora
    do not change.

    Args:
        folder: of the corpus.
        fold: that takes the place of the corpus's own partition.

    Raises:
        CorpusError: the index is damaged, or the fold cannot be made.
        OSError: it cannot be read.
    """
    path = folder / INDEX_NAME
    stat = path.stat()
    return _manifest(path, stat.st_mtime_ns, stat.st_size, fold)


@lru_cache(maxsize=4)
def _manifest(path: Path, changed: int, size: int, fold: Fold | None) -> Manifest:
    if fold is not None:
        return fold.apply(_manifest(path, changed, size, None))
    return read_index(path.read_bytes())


def numbers(storage: Storage, corpus: Corpus, partition: str, fold: Fold | None = None) -> Part:
    """A partition in numbers; of a fold it is counted, of the corpus's own it is known.

    Raises:
        Invalid: there is no such partition, the fold cannot be made, or the files were damaged.
    """
    if fold is not None:
        folder = storage.published(storage.corpus_dir(corpus.id))
        with faults_of(corpus, fold):
            manifest = read_manifest(folder, fold)
            return Part.of(manifest if partition == "all" else manifest.split(partition))
    parts = list(corpus.partitions.values())
    if partition != "all":
        if partition not in corpus.partitions:
            raise Invalid.of(
                "partition",
                partition,
                "the corpus has no such partition",
                f"give one of {', '.join([*corpus.partitions, 'all'])}",
                code="unknown_split",
            )
        parts = [corpus.partitions[partition]]
    genders: Counter[str] = Counter()
    for part in parts:
        genders.update(part.get("genders", {}))
    if partition == "all":
        return Part(corpus.clips, corpus.speakers, corpus.classes, genders)
    return Part(parts[0]["clips"], parts[0]["speakers"], parts[0]["classes"], genders)


@contextmanager
def faults_of(corpus: Corpus, fold: Fold | None) -> Iterator[None]:
    """What is wrong with a corpus's files, or with a fold of it, as an error of the request."""
    try:
        yield
    except CorpusError as error:
        if fold is None or error.code not in OF_FOLDS:
            raise Invalid.of("corpus", corpus.id, str(error), code=error.code) from error
        asked = fold.model_dump(mode="json", exclude_none=True)
        raise Invalid.of("fold", asked, str(error), code=error.code) from error
    except OSError as error:
        raise Invalid.of("corpus", corpus.id, "its files are gone", "upload it again") from error


def columns(storage: Storage, corpus: Corpus) -> tuple[str, ...]:
    """What an audit of the corpus may be grouped by.

    Raises:
        Invalid: its files were damaged.
    """
    try:
        return read_manifest(storage.published(storage.corpus_dir(corpus.id))).columns
    except (CorpusError, OSError) as error:
        code = error.code if isinstance(error, CorpusError) else "bad_features"
        raise Invalid(str(error), code=code) from error


def selection(
    storage: Storage,
    corpus: Corpus,
    partition: str,
    labels: Sequence[str],
    fold: Fold | None = None,
) -> Selection:
    """The clips of a partition for a model.

    Args:
        corpus: its row.
        partition: "train", "dev", "test", or "all".
        labels: emotions that the model knows; clips of others are left out.
        fold: that takes the place of the corpus's own partition.

    Raises:
        Invalid: the corpus lacks the partition or all of the emotions, or its files were damaged.
    """
    folder = storage.published(storage.corpus_dir(corpus.id))
    try:
        manifest = read_manifest(folder, fold)
        wanted = manifest if partition == "all" else manifest.split(partition)
        frames = FeatureFile(folder)
        if len(frames) != len(manifest):
            raise CorpusError("bad_features", "The features are not those of the index.")
        conditions = read_conditions(folder, len(manifest))
    except (CorpusError, OSError) as error:
        code = error.code if isinstance(error, CorpusError) else "bad_features"
        raise Invalid(str(error), code=code) from error
    chosen = [
        (number, clip)
        for number, clip in enumerate(manifest)
        if clip.emotion in labels and partition in {"all", clip.split}
    ]
    if not chosen:
        raise Invalid(
            f"No clip is labelled {', '.join(labels)}; the corpus has"
            f" {', '.join(manifest.emotions)}. Choose a corpus with the model's emotions.",
            code="no_clips",
        )
    return Selection(
        clips=tuple(clip for _, clip in chosen),
        recordings=tuple(audio_file(folder, number, clip) for number, clip in chosen),
        numbers=tuple(number for number, _ in chosen),
        frames=frames,
        conditions=conditions and tuple(conditions[number] for number, _ in chosen),
        left_out=dict(Counter(c.emotion for c in wanted if c.emotion not in labels)),
    )
