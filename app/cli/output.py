"""What the commands print: tables for people, JSON for programs."""

import json as json_text
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

BAR_CELLS = 24
FRAME = 3
"""Cells beside each column of a table: a margin on either side, and a line; one more ends it."""


def console() -> Console:
    """Where results go: standard output."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)


def err_console() -> Console:
    """Where progress and remarks go, so that standard output holds results alone."""
    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """Print ``value`` as JSON."""
    typer.echo(json_text.dumps(value, indent=2, ensure_ascii=False))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print a table; numbers stand to the right. Cut off from a terminal it is never narrowed.

    On a terminal no word is ever broken: where the columns cannot all stand side by side, each row
    is a block of lines instead, one a column.
    """
    out = console()
    cells = [[text(cell) for cell in row] for row in rows]
    room = out.width - FRAME * len(columns) - 1 if out.is_terminal else None
    widths = _widths(
        [[column, *(row[n] for row in cells)] for n, column in enumerate(columns)], room
    )
    if widths is None:
        _print_blocks(columns, cells, title)
        return
    drawn = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[number], int | float) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", width=widths[number])
    for row in cells:
        drawn.add_row(*row)
    if not out.is_terminal:  # which has no width of its own: rich would take 80 cells
        out.width = max(out.width, sum(widths) + FRAME * len(columns) + 1)
    out.print(drawn, crop=False, soft_wrap=not out.is_terminal)


def _widths(columns: Sequence[Sequence[str]], room: int | None) -> list[int] | None:
    """Cells for each column, so that all fit into the room and no word is broken; None if that
    cannot be. Without a limit nothing is narrowed."""
    widths = [max(map(cell_len, column)) for column in columns]
    least = [max(map(_longest_word, column)) for column in columns]
    if room is None:
        return widths
    if sum(least) > room:
        return None
    while sum(widths) > room:  # rich itself would narrow columns that cannot be, and cut others
        spare = [width - low for width, low in zip(widths, least, strict=True)]
        widths[spare.index(max(spare))] -= 1
    return widths


def _longest_word(cell: str) -> int:
    return max(map(cell_len, cell.split()), default=0)


def _print_blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    """A line for each cell, a blank line between two rows; what is longer wraps in the terminal,
    so that a name can be copied whole."""
    if title:
        typer.echo(title)
    width = max(map(cell_len, columns))
    for row in rows:
        typer.echo()
        for column, cell in zip(columns, row, strict=True):
            typer.echo(f"{column}{' ' * (width - cell_len(column))}  {cell}")


def text(value: object) -> str:
    """A cell: rates and losses with three places, None as a dash."""
    match value:
        case None:
            return "–"
        case float():
            return f"{value:.3f}"
        case _:
            return str(value)


def bar(share: float) -> str:
    """A share from 0 to 1 as a bar."""
    return "█" * round(share * BAR_CELLS)


def counted(counts: dict[str, int]) -> str:
    """Counts in one line, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count}" for name, count in ordered)
