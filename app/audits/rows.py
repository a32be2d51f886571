"""An audit's rows as a file: one JSON object a line, in the shape in which clients read them.

The file is the audit's evidence: the result is added up from it, and an audit that was interrupted
goes on behind its last whole line.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from models.audit import Attack, Outcome, Played, Row, points

DIGITS: Final = 6
"""Of a score: what float32 holds of a probability."""
OFFSET_BYTES: Final = 8


@dataclass(frozen=True)
class RowFormat:
    """What the numbers of a row mean.

    Attributes:
        labels: names of the classes.
        attacks: as in the audit.
    """

    labels: Sequence[str]
    attacks: Sequence[Attack]

    def to_json(self, index: int, clip: str, row: Row) -> dict[str, Any]:
        """A row as clients read it; see `app.audits.schemas.AuditRow`."""
        return {
            "index": index,
            "clip": clip,
            "label": None if row.label is None else self.labels[row.label],
            "clean": self._says(row.clean),
            "adversarial": [
                {
                    "attack": point.attack.type,
                    "labels": point.attack.labels,
                    "clip": point.attack.clip,
                    "epsilon": point.epsilon,
                    "success": row.broken(number),
                    "no_gradient": row.attacked[number].no_gradient,
                    **self._says(row.attacked[number]),
                    "audio": self._heard(row.attacked[number].played),
                }
                for number, point in enumerate(points(self.attacks))
            ],
        }

    def from_json(self, value: dict[str, Any]) -> Row:
        """The row of what `to_json` made.

        Raises:
            KeyError, TypeError, ValueError: it is of another audit.
        """
        label = value["label"]
        attacked = value["adversarial"]
        if [one["epsilon"] for one in attacked] != [p.epsilon for p in points(self.attacks)]:
            raise ValueError("the row has other attacks")
        return Row(
            None if label is None else self.labels.index(label),
            self._outcome(value["clean"]),
            tuple(self._outcome(one, no_gradient=bool(one["no_gradient"])) for one in attacked),
        )

    def _says(self, outcome: Outcome) -> dict[str, Any]:
        scores = [round(score, DIGITS) for score in outcome.scores]
        return {
            "label": self.labels[outcome.prediction],
            "scores": dict(zip(self.labels, scores, strict=True)),
        }

    def _heard(self, played: Played | None) -> dict[str, Any] | None:
        if played is None:
            return None
        return {"label": self.labels[played.prediction], "snr_db": round(played.snr_db, 2)}

    def _outcome(self, says: dict[str, Any], *, no_gradient: bool = False) -> Outcome:
        audio = says.get("audio")
        played = None if audio is None else Played(self._class(audio["label"]), audio["snr_db"])
        scores = tuple(float(says["scores"][label]) for label in self.labels)
        return Outcome(self._class(says["label"]), scores, played, no_gradient)

    def _class(self, label: str) -> int:
        return self.labels.index(label)


def read_rows(path: Path, start: int = 0) -> Iterator[dict[str, Any]]:
    """The rows from number ``start`` on, one after the other."""
    yield from map(json.loads, read_lines(path, start))


def read_lines(path: Path, start: int = 0) -> Iterator[bytes]:
    """The same, as they lie there: JSON."""
    with path.open("rb") as file:
        if start:
            _skip(file, path, start)
        yield from file


def write_index(path: Path) -> None:
    """Say beside the rows where each begins: a page must not cost as much as all before it."""
    at = 0
    with path.open("rb") as file, _index(path).open("wb") as index:
        for text in file:
            index.write(at.to_bytes(OFFSET_BYTES, "little"))
            at += len(text)


def _skip(file: BinaryIO, path: Path, rows: int) -> None:
    try:
        with _index(path).open("rb") as index:
            index.seek(rows * OFFSET_BYTES)
            found = index.read(OFFSET_BYTES)
    except FileNotFoundError:  # of an audit that was made before there was one
        for _ in islice(file, rows):
            pass
        return
    file.seek(int.from_bytes(found, "little") if found else path.stat().st_size)


def _index(path: Path) -> Path:
    return path.with_suffix(".index")


def line(row: dict[str, Any]) -> bytes:
    """A row as its line of the file."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
