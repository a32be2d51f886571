"""What the commands print: tables for people, JSON for programs."""

import json as json_text
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

BAR_CELLS = 24


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
    """Print a table; numbers stand to the right. Cut off from a terminal it is never narrowed."""
    drawn = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[number], int | float) for row in rows)
        drawn.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(text(cell) for cell in row))
    out = console()
    out.print(drawn, crop=out.is_terminal, soft_wrap=not out.is_terminal)


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
