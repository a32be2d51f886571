"""All figures of a study as one CSV (RFC 4180), a figure a line, for data frames."""

import csv
import io
from dataclasses import fields
from typing import Final

from models.studies.result import StudyResult
from models.studies.tables import Record

COLUMNS: Final = tuple(one.name for one in fields(Record))
FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula: names come from others."""


def as_csv(result: StudyResult) -> str:
    """Head, then the records of every table."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for table in result.tables:
        for record in table.records():
            writer.writerow([_cell(getattr(record, name)) for name in COLUMNS])
    return buffer.getvalue()


def _cell(value: object) -> object:
    """Text that begins as a formula has an apostrophe before it; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(FORMULAS):
        return f"'{value}"
    return value
