"""An audit's rows as a file: one JSON object a line, in the shape in which clients read them.

The file is the audit's evidence (`models.audit.evidence`): the result can be added up from it
again.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

OFFSET_BYTES: Final = 8
_INDEX: Final = re.compile(rb'\{"index": ?([0-9]+),')


def read_rows(path: Path, start: int = 0) -> Iterator[dict[str, Any]]:
    """The rows from index ``start`` on, one after the other."""
    yield from map(json.loads, read_lines(path, start))


def read_lines(path: Path, start: int = 0) -> Iterator[bytes]:
    """The same, as they lie there: JSON."""
    with path.open("rb") as file:
        if start:
            _skip(file, path, start)
        yield from file


def write_index(path: Path) -> None:
    """Say beside the rows where each begins: a page must not cost as much as all before it.

    An audit that ended early in several shards has no row for some of its clips: there the place of
    the next one stands.
    """
    at = told = 0
    with path.open("rb") as file, _index(path).open("wb") as index:
        for text in file:
            number = _number(text)
            index.write(at.to_bytes(OFFSET_BYTES, "little") * (number + 1 - told))
            told = number + 1
            at += len(text)


def _number(text: bytes) -> int:
    found = _INDEX.match(text)
    if found is None:
        raise ValueError(f"a row does not begin with its index: {text[:40]!r}")
    return int(found[1])


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
