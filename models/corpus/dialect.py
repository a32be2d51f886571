"""What spreadsheets, shells and other corpora make of an `index.csv`, and what it means here."""

import csv
import re
from collections.abc import Sequence
from typing import Final

DELIMITERS: Final = (",", ";", "\t")
LINE_END: Final = re.compile(r"\r\n|\n|\r")
MAX_LINE: Final = 64 * 1024
"""Characters of a first line that are looked at."""
SEP_LINE: Final = "sep="
"""How a first line for Excel begins that names the delimiter."""

SAME_COLUMNS: Final = {"file": "path", "filename": "path", "label": "emotion"}
"""Other names of columns, read where the proper one is absent."""

GENDERS: Final = {
    "f": "f",
    "female": "f",
    "m": "m",
    "male": "m",
    **dict.fromkeys(("", "unknown", "other", "nan", "na", "n/a", "none"), ""),
}

EVAL: Final = "eval"
"""It is the test of some corpora and the development part of others: `settle_eval` decides."""
SPLIT_NAMES: Final = {
    "": "",
    "train": "train",
    "training": "train",
    **dict.fromkeys(("dev", "devel", "development", "val", "valid", "validation"), "dev"),
    "test": "test",
    "testing": "test",
    **dict.fromkeys((EVAL, "evaluation"), EVAL),
}


def find_delimiter(text: str, required: Sequence[str]) -> tuple[str, bool]:
    """The delimiter of a table, and whether its first line is a `sep=` line, which names no column.

    Without such a line it is the one at which the first line names most of the required columns;
    the comma where none does.
    """
    line = LINE_END.split(text[:MAX_LINE], maxsplit=1)[0]
    told = line.strip(' "')
    if told.lower().startswith(SEP_LINE) and told[len(SEP_LINE) :].strip('"') in DELIMITERS:
        return told[len(SEP_LINE) :].strip('"'), True
    return max(DELIMITERS, key=lambda one: _named(line, one, required)), False


def _named(line: str, delimiter: str, required: Sequence[str]) -> int:
    names = column_names(next(csv.reader([line], delimiter=delimiter), []))
    return sum(name in names for name in required)


def column_names(row: Sequence[str]) -> list[str]:
    """The columns by their proper names, "" for those that are to be ignored."""
    names = [name.strip().lower() for name in row]
    taken = set(names)
    proper: list[str] = []
    for name in names:
        same = SAME_COLUMNS.get(name, name)
        proper.append("" if same != name and (same in taken or same in proper) else same)
    return proper


def plain_path(path: str) -> str:
    r"""A path as archives name it: with `/` for `\`, and without a `./` before it.

    What is unsafe stays so: see `models.corpus.manifest.path_fault`.
    """
    path = path.replace("\\", "/")
    while path.startswith("./") and len(path) > 2:
        path = path[2:]
    return path


def settle_eval(splits: set[str]) -> str | None:
    """What `eval` means beside these other splits; None if that cannot be told.

    Beside dev it is the test; beside test it is dev; beside train alone it is the test.
    """
    if {"dev", "test"} <= splits:
        return None
    return "dev" if "test" in splits else "test"
