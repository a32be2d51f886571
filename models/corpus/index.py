"""Read and write `index.csv`, the generic description of a corpus: one line a clip.

The first line names the columns, in any order. `path`, `speaker` and `emotion` are required;
`gender` (f, m), `sentence`, `duration_s` (seconds) and `split` (train, dev, test) may be left out
or left empty. Of other columns the first eight are kept, so that audits can be grouped by them;
values that are no label (too long, or with control characters) are left out. The file is UTF-8,
with or without a byte order mark. What spreadsheets and other corpora write instead is read too:
`models.corpus.dialect`. All text is taken in its composed form (NFC), so that a name is one name
however it was typed.
"""

from __future__ import annotations

import csv
import io
import math
import sys
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from models.corpus.dialect import (
    EVAL,
    GENDERS,
    SPLIT_NAMES,
    column_names,
    find_delimiter,
    plain_path,
    settle_eval,
)
from models.corpus.manifest import (
    MAX_LABEL_CHARACTERS,
    Clip,
    CorpusError,
    Manifest,
    path_fault,
)

INDEX_NAME: Final = "index.csv"
REQUIRED_COLUMNS = ("path", "speaker", "emotion")
COLUMNS = ("path", "speaker", "gender", "emotion", "sentence", "duration_s", "split")

# Twenty times the largest acted corpus of today; a line takes about 60 bytes.
MAX_INDEX_BYTES = 32 * 1024 * 1024
MAX_CLIPS = 200_000
MAX_COLUMNS = 64
MAX_EXTRA = 8
MAX_CLIP_SECONDS = 24 * 3600.0
# Enough to see the pattern of a systematic mistake without burying it.
MAX_ERRORS = 10


class IndexFileError(CorpusError):
    """`index.csv` cannot be read; ``errors`` names the lines."""


class _Rows(Protocol):
    """A `csv.reader`, whose own type has no public name before Python 3.13."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


class _Fault(Exception):
    """What is wrong with the line being read."""


def read_index(data: bytes | str) -> Manifest:
    """Parse the text of an `index.csv`.

    Args:
        data: the file's content; bytes are decoded as UTF-8.

    Returns:
        The clips in the order of their lines.

    Raises:
        IndexFileError: too large (code ``index_too_large``), not UTF-8 (``index_not_text``),
            columns missing (``index_columns``), faulty lines (``index_lines``), or no clip at all
            (``index_empty``).
    """
    if len(data) > MAX_INDEX_BYTES:
        raise IndexFileError(
            "index_too_large",
            f"index.csv has {len(data)} bytes, more than {MAX_INDEX_BYTES}; split the corpus.",
        )
    text = _text(data)
    delimiter, named = find_delimiter(text, REQUIRED_COLUMNS)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    clips: list[Clip] = []
    errors: list[str] = []
    try:
        if named:
            next(rows)
        _read_lines(rows, clips, errors)
    except csv.Error as error:
        errors.append(f"line {rows.line_num}: this is not CSV ({error})")
    _refuse(clips, errors)
    return Manifest(_settled(clips))


def write_index(manifest: Manifest) -> str:
    """The text of an `index.csv` that `read_index` turns back into ``manifest``."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    extra = list(dict.fromkeys(name for clip in manifest for name, _ in clip.extra))
    rows.writerow((*COLUMNS, *extra))
    for clip in manifest:
        values = dict(clip.extra)
        rows.writerow(
            (
                clip.path,
                clip.speaker,
                clip.gender,
                clip.emotion,
                clip.sentence,
                repr(clip.duration_s) if clip.duration_s else "",
                clip.split or "",
                *(values.get(name, "") for name in extra),
            )
        )
    return text.getvalue()


def _text(data: bytes | str) -> str:
    if isinstance(data, bytes):
        try:
            data = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise IndexFileError(
                "index_not_text",
                f"index.csv is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}. "
                "Save it as UTF-8.",
            ) from None
    text = data.removeprefix("\ufeff")
    if "\0" in text:
        raise IndexFileError(
            "index_not_text", "index.csv holds a NUL character; it is not a text file."
        )
    return unicodedata.normalize("NFC", text)


def _read_lines(rows: _Rows, clips: list[Clip], errors: list[str]) -> None:
    """Fill ``clips``, and ``errors`` with what is wrong, until either is full."""
    header = _header(rows)
    seen: dict[str, int] = {}
    for row in rows:
        if not any(row):
            continue
        try:
            clip = _clip(header, row)
            first = seen.setdefault(clip.path, rows.line_num)
            if first != rows.line_num:
                raise _Fault(f"the path {clip.path!r} already stands in line {first}")
            clips.append(clip)
        except _Fault as fault:
            errors.append(f"line {rows.line_num}: {fault}")
        if len(errors) >= MAX_ERRORS or len(clips) > MAX_CLIPS:
            break


class _Header(NamedTuple):
    """The first line: the numbers of the columns by name, and how many there are in all."""

    numbers: dict[str, int]
    width: int


def _header(rows: _Rows) -> _Header:
    names = column_names(next(rows, []))
    named = [name for name in names if name]
    missing = [name for name in REQUIRED_COLUMNS if name not in named]
    if missing or len(names) > MAX_COLUMNS or len(set(named)) < len(named):
        found = ", ".join(named[:12]) or "nothing"
        optional = ", ".join(name for name in COLUMNS if name not in REQUIRED_COLUMNS)
        raise IndexFileError(
            "index_columns",
            f"The first line of index.csv must name the columns {', '.join(REQUIRED_COLUMNS)} "
            f"(and may name {optional}), each once and at most {MAX_COLUMNS} in all, separated by "
            f"commas, semicolons or tabs; it names: {found[:200]}.",
        )
    return _Header({name: number for number, name in enumerate(names) if name}, len(names))


def _clip(header: _Header, row: list[str]) -> Clip:
    if len(row) != header.width and (len(row) < header.width or any(row[header.width :])):
        raise _Fault(f"{len(row)} values for {header.width} columns")

    def value(column: str) -> str:
        return row[header.numbers[column]].strip() if column in header.numbers else ""

    path = plain_path(value("path"))
    if fault := path_fault(path):
        raise _Fault(fault)
    return Clip(
        path=path,
        speaker=_label("speaker", value("speaker"), required=True),
        gender=_choice("gender", value("gender").lower(), GENDERS),
        emotion=_label("emotion", value("emotion").lower(), required=True),
        sentence=_label("sentence", value("sentence"), required=False),
        duration_s=_seconds(value("duration_s")),
        split=_choice("split", value("split").lower(), SPLIT_NAMES) or None,
        extra=_extra(header.numbers, value),
    )


def _extra(numbers: dict[str, int], value: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    """Values of the columns that this format does not know, where they are labels."""
    names = [name for name in numbers if name not in COLUMNS and _is_label(name)][:MAX_EXTRA]
    return tuple(
        (sys.intern(name), sys.intern(value(name))) for name in names if _is_label(value(name))
    )


def _is_label(text: str) -> bool:
    return 0 < len(text) <= MAX_LABEL_CHARACTERS and text.isprintable()


def _label(column: str, value: str, *, required: bool) -> str:
    if required and not value:
        raise _Fault(f"{column} is empty")
    if len(value) > MAX_LABEL_CHARACTERS:
        raise _Fault(f"{column} has {len(value)} characters, more than {MAX_LABEL_CHARACTERS}")
    if not value.isprintable():
        raise _Fault(f"{column} {value!r} holds a control character")
    return value


def _choice(column: str, value: str, allowed: dict[str, str]) -> str:
    if value not in allowed:
        raise _Fault(f"{column} is {value[:40]!r}, not one of {', '.join(k for k in allowed if k)}")
    return allowed[value]


def _seconds(value: str) -> float:
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0.0 <= seconds <= MAX_CLIP_SECONDS:
        raise _Fault(
            f"duration_s is {value[:40]!r}, not a number of seconds from 0 to {MAX_CLIP_SECONDS:g}"
        )
    return seconds


def _settled(clips: list[Clip]) -> tuple[Clip, ...]:
    """The clips, of which `eval` is no split but another name of one."""
    splits = {clip.split for clip in clips if clip.split}
    if EVAL not in splits:
        return tuple(clips)
    meant = settle_eval(splits)
    if meant is None:
        raise IndexFileError(
            "index_lines",
            "index.csv has the splits dev, test and eval; write train, dev or test for eval.",
        )
    return tuple(replace(clip, split=meant) if clip.split == EVAL else clip for clip in clips)


def _refuse(clips: list[Clip], errors: list[str]) -> None:
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise IndexFileError("index_lines", f"index.csv, {errors[0]}{more}.", errors)
    if len(clips) > MAX_CLIPS:
        raise IndexFileError(
            "index_too_large", f"index.csv lists more than {MAX_CLIPS} clips; split the corpus."
        )
    if not clips:
        raise IndexFileError(
            "index_empty", "index.csv lists no clip; add one line a clip below the column names."
        )
