"""Reads of an audit what a comparison needs: its report, and its rows one by one."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from app.audits import files
from app.audits.report import Report
from app.audits.rows import read_lines
from app.errors import Invalid
from app.persistence.storage import Storage
from models.audit.comparison import Outcomes
from models.audit.result import AuditSummary
from models.corpus.index import INDEX_NAME


class _Read(BaseModel):
    """A part of a row; the rest of the row is skipped."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Said(_Read):
    label: str


class _Attacked(_Said):
    attack: int
    strength: float
    success: bool | None


class ReadRow(_Read):
    """What is compared of a row."""

    index: int
    clip: str
    label: str | None
    speaker: str | None
    clean: _Said
    attacked: list[_Attacked]


@dataclass(frozen=True)
class Findings:
    """Where an audit's findings lie.

    Attributes:
        audit: its id.
        folder: of what it found; see `app.audits.files`.
    """

    audit: str
    folder: Path

    def report(self) -> Report:
        """As it was written, without what the audit has caused since."""
        return Report.model_validate_json((self.folder / files.REPORT).read_bytes())

    def rows(self) -> Iterator[ReadRow]:
        """One after the other."""
        for line in read_lines(self.folder / files.ROWS):
            yield ReadRow.model_validate_json(line)


def outcomes(
    audit: str,
    result: AuditSummary,
    rows: Iterator[ReadRow],
    known_by: Callable[[int], str] | None = None,
) -> Outcomes:
    """What an audit says of its clips.

    Args:
        known_by: what a clip is known by, by the index of its row; None: its name.
    """
    points = [(one.attack, one.strength) for one in result.curve]
    found = Outcomes(audit, result.labels, result.attacks, points)
    for row in rows:
        found.add(row, None if known_by is None else known_by(row.index))
    return found


def same_index(storage: Storage, one: str, other: str) -> bool:
    """Whether two corpora list the same clips, as when one was uploaded twice. Where one of them
    was deleted nobody can tell."""
    digests = [_digest(storage.corpus_dir(name) / INDEX_NAME) for name in (one, other)]
    return digests[0] is not None and digests[0] == digests[1]


def by_recording(storage: Storage, audit: str) -> Callable[[int], str]:
    """What the uploaded clips of an audit are known by: the SHA-256 of each.

    Names do not do: many a recording is called recording.wav.
    """
    folder = files.inputs_dir(storage, audit)

    def known_by(index: int) -> str:
        found = _digest(files.input_path(folder, index))
        if found is None:
            raise Invalid.of(
                "audits",
                audit,
                "the recordings that were uploaded for it were removed, and whether they are the"
                " same as another audit's can no longer be told",
                "audit both models on a corpus",
                code="recordings_removed",
            )
        return found

    return known_by


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
