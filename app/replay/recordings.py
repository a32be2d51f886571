"""Finds the recordings of a replay by their SHA-256: in the bundle, in a folder, in an archive.

What a file is called does not matter, so a corpus may have been renamed or moved since. No path is
ever made of a name that stands in a bundle or an archive.
"""

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.corpora.archive import Archive, Limits
from app.errors import Invalid
from app.replay.names import clip_index
from app.replay.reading import OpenBundle, Unusable
from models.corpus.extraction import MAX_FILE_BYTES

MOST_ENTRIES: Final = 200_000
MOST_UNPACKED_BYTES: Final = 64 * 1024**3
NAMED: Final = 3

Read = Callable[[int], bytes]
"""Gives the recording of the clip of this index."""


@contextmanager
def recordings(bundle: OpenBundle, corpus: Path | None) -> Iterator[Read]:
    """The recordings of a bundle's clips.

    Args:
        corpus: a folder or a zip archive that has them; None for those in the bundle.

    Raises:
        Unusable: some are missing, or the audit had none.
    """
    wanted = {
        clip.sha256: clip.bytes or 0 for clip in bundle.materials.clips if clip.sha256 is not None
    }
    if len(wanted) == 0 or any(clip.sha256 is None for clip in bundle.materials.clips):
        raise Unusable(
            "The audit was run on log-mels, without recordings: it cannot be replayed from sound."
        )
    if corpus is None:
        yield _in_bundle(bundle)
        return
    with TemporaryDirectory(prefix="serval-replay-") as unpacked:
        if corpus.is_dir():
            found = dict(_in_folder(corpus, wanted))
        else:
            found = dict(_in_archive(corpus, wanted, Path(unpacked)))
        sha256s = {clip.index: clip.sha256 for clip in bundle.materials.clips}
        _check_all(bundle, found, corpus)
        yield lambda index: found[str(sha256s[index])].read_bytes()


def _in_bundle(bundle: OpenBundle) -> Read:
    entries = {
        index: name for name in bundle.container.sizes if (index := clip_index(name)) is not None
    }
    missing = [clip for clip in bundle.materials.clips if clip.index not in entries]
    if missing:
        raise Unusable(
            f"The bundle holds the hashes of its {len(bundle.materials.clips)} clips and not their"
            " sound, e.g. of"
            f" {missing[0].clip!a}. Give the recordings: --corpus FOLDER, or --corpus ZIP."
        )
    return lambda index: bundle.container.read(entries[index], MAX_FILE_BYTES)


def _in_folder(folder: Path, wanted: Mapping[str, int]) -> Iterator[tuple[str, Path]]:
    """Files of a wanted size are hashed, others are not opened; links are not followed."""
    sizes = set(wanted.values())
    for parent, _, files in os.walk(folder):
        for name in files:
            path = Path(parent) / name
            try:
                told = path.lstat()
                if not stat.S_ISREG(told.st_mode) or told.st_size not in sizes:
                    continue
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:  # not readable: if it is one of the clips, it is told as missing
                continue
            if digest in wanted:
                yield digest, path


def _in_archive(path: Path, wanted: Mapping[str, int], folder: Path) -> Iterator[tuple[str, Path]]:
    """Wanted files are unpacked, each once and under a name of ours."""
    limits = Limits(MOST_ENTRIES, MOST_UNPACKED_BYTES, MAX_FILE_BYTES)
    done: set[str] = set()
    try:
        with path.open("rb") as file, Archive(file, limits) as archive:
            for name in archive.names:
                content = archive.read(name)
                digest = hashlib.sha256(content).hexdigest()
                if digest in wanted and digest not in done:
                    done.add(digest)
                    (folder / digest).write_bytes(content)
                    yield digest, folder / digest
    except Invalid as error:
        raise Unusable(f"{path}: {error.detail}") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise Unusable(f"{path} cannot be read: {error}.") from error


def _check_all(bundle: OpenBundle, found: Mapping[str, Path], corpus: Path) -> None:
    missing = [clip for clip in bundle.materials.clips if clip.sha256 not in found]
    if missing:
        some = ", ".join(f"{clip.clip!a}" for clip in missing[:NAMED])
        raise Unusable(
            f"{corpus} lacks {len(missing)} of the {len(bundle.materials.clips)} clips, by their"
            f" SHA-256, e.g. {some}. Give the folder or the zip archive of the very recordings that"
            " were audited, byte for byte."
        )
