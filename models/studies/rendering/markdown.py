"""A study as Markdown, as GitHub renders it (GFM, Sec. 4.10): caption, tables, reasons."""

from collections.abc import Iterator
from typing import Final

from models.studies.rendering.text import one_line
from models.studies.result import StudyResult
from models.studies.tables import Sheet

ESCAPED: Final = str.maketrans(
    {sign: f"\\{sign}" for sign in "\\`*_[]|~#!"}
    | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "@<!-- -->"}
)
"""What would be markup, a link or a mention: names come from others."""


def as_markdown(result: StudyResult) -> str:
    """All tables."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: StudyResult) -> Iterator[str]:
    yield "# " + escaped(f"Study on {result.caption.corpus}")
    yield ""
    for sentence in result.caption.sentences:
        yield f"- {escaped(sentence)}"
    for table in result.tables:
        for sheet in table.sheets():
            yield ""
            yield from _sheet(sheet)


def _sheet(sheet: Sheet) -> Iterator[str]:
    yield f"## {escaped(sheet.title)}"
    yield ""
    if sheet.rows:
        yield _line(sheet.heads)
        yield "|" + "---|" * len(sheet.heads)
        yield from map(_line, sheet.rows)
    for note in sheet.notes:
        yield ""
        yield escaped(note)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(escaped, cells)) + " |"


def escaped(text: str) -> str:
    """On one line, and nothing but text."""
    return one_line(text).translate(ESCAPED)
