"""`serval study`: list, show, follow, cancel, resume, add to and write studies."""

from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from app.cli.api import DEFAULT_URL, PAGE, Api, Key, Url, path_to
from app.cli.errors import CliError
from app.cli.jobs import COLUMNS, row
from app.cli.output import Json, print_json, table
from app.cli.study_files import check_folder, table_text, write
from app.cli.study_following import finish, resumed, tell_files
from app.cli.study_request import (
    Architectures,
    Epsilons,
    Seeds,
    StudyCommand,
    Trainings,
    grid,
)
from app.cli.writing import Force

app = typer.Typer(
    name="study",
    no_args_is_help=True,
    help="List, show, follow, cancel, resume and add to studies, and write their tables.",
)

CELL_COLUMNS: Final = ("cell", "status", "model", "seconds", "why")


class TableFormat(StrEnum):
    """How tables are printed."""

    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"


Study = Annotated[str, typer.Argument(metavar="STUDY", help="Its id, study_….")]
Into = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Write tables (Markdown, LaTeX, CSV, JSON) and figures (SVG, PNG) there.",
        show_default="the tables are printed",
    ),
]


@app.command("list")
def list_(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """List your studies, newest first."""
    with Api(url, key) as api:
        pages = api.pages(path_to("studies"), limit=min(limit + 1, PAGE))
        found = list(islice(pages, limit + 1))
    if json:
        print_json(found[:limit])
    else:
        rows = [(*row(one), one["input"].get("name")) for one in found[:limit]]
        table((*COLUMNS, "name"), rows)
    if len(found) > limit:
        typer.echo(f"There are more than these {limit}: give a larger --limit.", err=True)


@app.command()
def show(study: Study, *, url: Url = DEFAULT_URL, key: Key = None, json: Json = False) -> None:
    """Show how far a study is, cell by cell. Exit 1 if it failed."""
    with Api(url, key) as api:
        found = api.get(path_to("studies", study))
        cells = list(api.pages(path_to("studies", study, "cells"), by="cell", limit=PAGE))
    if json:
        print_json(found | {"cells": cells})
    else:
        table(COLUMNS, [row(found)])
        table(CELL_COLUMNS, [_cell(one) for one in cells])
        for warning in found["warnings"]:
            typer.echo(warning, err=True)
    if found["status"] == "failed":
        raise CliError(f"{study} failed: {found['error']['message']}")


@app.command()
def follow(
    study: Study,
    *,
    into: Into = None,
    force: Force = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Watch a study until its end, and write or print its tables. Ctrl-C ends the watching."""
    if into is not None:
        check_folder(into, force=force)
    with Api(url, key) as api:
        finish(api, api.get(path_to("studies", study)), into, force=force, json=json)


@app.command()
def tables(
    study: Study,
    *,
    into: Into = None,
    form: Annotated[
        TableFormat, typer.Option("--format", help="How they are printed.")
    ] = TableFormat.MARKDOWN,
    force: Force = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Write or print the tables of a study as it is now: what has no figure yet is a dash."""
    with Api(url, key) as api:
        if into is not None:
            tell_files(write(api, study, into, force=force))
        else:
            typer.echo(table_text(api, study, form.value), nl=False)


@app.command()
def cancel(study: Study, *, url: Url = DEFAULT_URL, key: Key = None, json: Json = False) -> None:
    """Cancel a study, with its trainings and audits under way. What is done stays."""
    with Api(url, key) as api:
        _announce(api.post(path_to("studies", study, "cancel")), json=json)


@app.command()
def resume(study: Study, *, url: Url = DEFAULT_URL, key: Key = None, json: Json = False) -> None:
    """Try again what failed or was cancelled. What is done stays."""
    with Api(url, key) as api:
        _announce(resumed(api, study), json=json)


@app.command(cls=StudyCommand)
def add(
    study: Study,
    *,
    architecture: Architectures = None,
    training: Trainings = None,
    epsilon: Epsilons = None,
    seed: Seeds = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Add to the grid of a study: each new value is combined with all others."""
    more = grid(architecture, training, epsilon, seed)
    if not more:
        raise CliError("Say what to add: --architecture, --training, --epsilon or --seed.")
    with Api(url, key) as api:
        _announce(api.post(path_to("studies", study, "cells"), json=more), json=json)


def _announce(study: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(study)
    else:
        typer.echo(f"{study['id']} is {study['status']}.")


def _cell(one: dict[str, Any]) -> tuple[object, ...]:
    reasons = "; ".join(error["message"] for error in one["errors"])
    return (one["cell"], one["status"], one["model"], round(one["seconds"]), reasons or None)
