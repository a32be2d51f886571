"""From an uploaded archive to a folder with its clips, their features and their partition.

The folder, once published, holds `audio/000001.flac` …, numbered in the order of `index.csv`, and
the files of `models.corpus.features`. In `index.csv` the path is what the client called the clip:
a label that is shown, and never a path here.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from app.corpora.archive import Archive, Limits
from app.corpora.schemas import CorpusRequest
from app.errors import FieldProblem, Invalid
from app.settings import Settings
from models.corpus import INDEX_NAME, copies, describe, detect
from models.corpus.aliases import renamed
from models.corpus.extraction import MAX_FILE_BYTES, extract
from models.corpus.features import FRAMES_NAME, write_description
from models.corpus.index import read_index
from models.corpus.manifest import Clip, CorpusError, Manifest, Skipped
from models.corpus.partition import (
    FRACTIONS,
    PartitionError,
    check_disjoint,
    check_variety,
    speaker_independent,
)

AUDIO: Final = "audio"
MOST_NAMED: Final = 10
STORED_NAME: Final = re.compile(r"[0-9]{6}\.(?:wav|flac|aiff?)")
# Two speakers cannot be split in three.
TWO_PARTS: Final = {"train": 0.5, "test": 0.5}

Watch = Callable[[int, int], None]
"""Called with the clips decoded and all clips, while they are unpacked too; what it raises ends the
import."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What was made of an archive.

    Attributes:
        format: as `models.corpus.detect` names it.
        manifest: the clips, each with its duration and split, in the order of their numbers.
        skipped: the files that are not among them.
    """

    format: str
    manifest: Manifest
    skipped: tuple[Skipped, ...]


def import_archive(
    upload: BinaryIO, folder: Path, *, request: CorpusRequest, settings: Settings, watch: Watch
) -> Imported:
    """Unpack, decode, partition.

    Args:
        upload: the zip archive, seekable.
        folder: empty; filled with what the corpus consists of.
        request: how the corpus is described, and what its emotions are to be called.
        settings: the limits.
        watch: told of the progress.

    Raises:
        Invalid: the archive or the corpus is not accepted.
    """
    try:
        return _import(upload, folder, request, settings, watch)
    except CorpusError as error:
        raise _invalid(error) from error


def audio_file(folder: Path, number: int, clip: Clip) -> Path:
    """Where the clip's recording lies.

    Args:
        folder: of the corpus.
        number: the clip's place in the corpus' manifest, from 0.
        clip: the one at that place.
    """
    return folder / AUDIO / _stored_name(number, clip.path)


def _stored_name(number: int, path: str) -> str:
    return f"{number + 1:06d}{PurePosixPath(path).suffix.lower()}"


def _import(
    upload: BinaryIO, folder: Path, request: CorpusRequest, settings: Settings, watch: Watch
) -> Imported:
    limits = Limits(
        # As many texts, pictures and folders as clips, and then some.
        entries=2 * settings.max_corpus_clips + 1000,
        unpacked_bytes=settings.max_corpus_unpacked_bytes,
        clip_bytes=MAX_FILE_BYTES,
    )
    with Archive(upload, limits) as archive:
        format_ = detect(archive.names) if request.format == "auto" else request.format
        named, unused = _describe(archive, format_)
        named = renamed(named, request.labels, aliases=request.aliases)
        _check_clips(named, settings.max_corpus_clips)
        _unpack(archive, named, folder / AUDIO, watch)
        skipped = [*archive.skipped, *unused]
    numbered = list(enumerate(named))
    if format_ != "index":
        settled = _settle_copies(named, folder, settings, watch)
        numbered = [numbered[number] for number in settled.kept]
        skipped += settled.skipped
    named = Manifest(tuple(clip for _, clip in numbered))
    stored = Manifest(
        tuple(replace(clip, path=_stored_name(number, clip.path)) for number, clip in numbered)
    )
    watch = _bounded(folder / FRAMES_NAME, settings.max_corpus_unpacked_bytes, watch)
    name_of = {new.path: old.path for new, old in zip(stored, named, strict=True)}
    with _clips_called(name_of):
        features = extract(
            stored,
            folder / AUDIO,
            folder,
            max_seconds=settings.max_clip_seconds,
            on_progress=watch,
        )
    kept = Manifest(tuple(replace(c, path=name_of[c.path]) for c in features.manifest))
    unreadable = [replace(one, path=name_of[one.path]) for one in features.skipped]
    manifest = _partition(kept)
    _close_gaps(folder / AUDIO, [clip.path for clip in features.manifest], manifest)
    skipped = [*unreadable, *skipped]
    write_description(folder, manifest, skipped)
    return Imported(format_, manifest, tuple(skipped))


def _bounded(frames: Path, most: int, watch: Watch) -> Watch:
    """``watch``, that also ends the import when the features outgrow what may be unpacked.

    A minute of a constant tone takes some kilobytes as FLAC, and a megabyte as features.
    """

    def look(done: int, total: int) -> None:
        watch(done, total)
        if frames.stat().st_size > most:
            raise CorpusError(
                "archive_too_large",
                f"The features of {done} of the {total} clips take more than {most} bytes already."
                " Split the corpus.",
            )

    return look


@contextmanager
def _clips_called(name_of: Mapping[str, str]) -> Iterator[None]:
    """Errors speak of clips as the client does, not by the numbers they are stored under."""
    try:
        yield
    except CorpusError as error:
        message = STORED_NAME.sub(lambda found: name_of.get(found[0], found[0]), str(error))
        raise CorpusError(error.code, message, error.errors) from error


def _describe(archive: Archive, format_: str) -> tuple[Manifest, Sequence[Skipped]]:
    """The clips as the index or the file names tell of them, and the files that are none."""
    if format_ != "index":
        return describe(archive.names, format_)
    names = set(archive.names)
    if INDEX_NAME not in names:
        raise CorpusError(
            "index_missing", f"The archive has no {INDEX_NAME} at its top. Add it, or say format."
        )
    manifest = read_index(archive.read(INDEX_NAME))
    listed = {clip.path for clip in manifest}
    missing = sorted(listed - names)
    if missing:
        raise _missing(missing, names, archive.skipped)
    unlisted = sorted(names - listed - {INDEX_NAME})
    return manifest, [
        Skipped(name, f"not listed in {INDEX_NAME}", "not_listed") for name in unlisted
    ]


def _missing(
    missing: Sequence[str], names: Collection[str], skipped: Sequence[Skipped]
) -> CorpusError:
    """The error for clips that the index lists and the archive does not have."""
    reasons = {one.path: one.reason for one in skipped}
    alike = {name.casefold(): name for name in names}

    def reason(path: str) -> str:
        if other := alike.get(path.casefold()):
            return f"the archive has {other}, which differs in case; write it so"
        return reasons.get(path, "not in the archive")

    errors = [f"{path}: {reason(path)}" for path in missing[:MOST_NAMED]]
    return CorpusError(
        "file_missing",
        f"{INDEX_NAME} lists {len(missing)} files that the archive does not hold as audio, e.g."
        f" {errors[0]}. Add them, or take their lines out.",
        errors,
    )


def _check_clips(manifest: Manifest, most: int) -> None:
    """What can be refused before anything is decoded."""
    if len(manifest) > most:
        raise CorpusError(
            "too_many_clips", f"The corpus has {len(manifest)} clips, more than {most}. Split it."
        )
    check_variety(manifest)
    check_disjoint(manifest)
    without = [clip.path for clip in manifest if clip.split is None]
    if without and len(without) < len(manifest):
        raise CorpusError(
            "split_incomplete",
            f"{len(without)} of {len(manifest)} clips have no split, e.g. {without[0]!r}. Give one"
            " to every clip, or to none and a speaker-independent partition is made.",
        )


def _unpack(archive: Archive, manifest: Manifest, audio: Path, watch: Watch) -> None:
    audio.mkdir()
    look = partial(watch, 0, len(manifest))
    for number, clip in enumerate(manifest):
        look()
        (audio / _stored_name(number, clip.path)).write_bytes(archive.read(clip.path, look))


def _settle_copies(
    manifest: Manifest, folder: Path, settings: Settings, watch: Watch
) -> copies.Settled:
    """Of several files of one clip keep one; the others are removed."""
    settled = copies.settle(
        manifest,
        lambda number: audio_file(folder, number, manifest.clips[number]),
        max_seconds=settings.max_clip_seconds,
        look=partial(watch, 0, len(manifest)),
    )
    for number in set(range(len(manifest))) - set(settled.kept):
        audio_file(folder, number, manifest.clips[number]).unlink()
    return settled


def _partition(manifest: Manifest) -> Manifest:
    """The given partition, or one that keeps the speakers apart."""
    check_variety(manifest)  # a clip that could not be read may have been a speaker's only one
    if manifest.splits:
        return manifest
    enough = len(manifest.speakers) >= len(FRACTIONS)
    return speaker_independent(manifest, FRACTIONS if enough else TWO_PARTS)


def _close_gaps(audio: Path, stored: Sequence[str], manifest: Manifest) -> None:
    """Number the recordings anew, without those that could not be read."""
    for number, (name, clip) in enumerate(zip(stored, manifest, strict=True)):
        if name != _stored_name(number, clip.path):
            (audio / name).replace(audio / _stored_name(number, clip.path))
    kept = {_stored_name(number, clip.path) for number, clip in enumerate(manifest)}
    for path in audio.iterdir():
        if path.name not in kept:
            path.unlink()


def _invalid(error: CorpusError) -> Invalid:
    found = [FieldProblem(field="file", message=message) for message in error.errors]
    if isinstance(error, PartitionError):
        found += [
            FieldProblem(field="speaker", value=speaker, message="is in more than one split")
            for speaker in error.speakers[:MOST_NAMED]
            if error.code == "speakers_overlap"
        ]
    return Invalid(str(error), code=error.code, errors=found)
