"""A study on the terminal: watched cell by cell to its end, then told."""

from pathlib import Path
from typing import Any, Final

import typer

from app.cli.api import Api, path_to
from app.cli.errors import CliError
from app.cli.following import follow, succeeded
from app.cli.output import print_json
from app.cli.study_files import table_text, write

SHOWN: Final = 10
"""Cells and audits that did not come to their end, and are named."""


def resumed(api: Api, study: str) -> dict[str, Any]:
    """The study, of which what failed or was cancelled is tried again."""
    found: dict[str, Any] = api.post(path_to("studies", study, "resume"))
    return found


def finish(api: Api, study: dict[str, Any], into: Path | None, *, force: bool, json: bool) -> None:
    """Watch a study to its end, and write its tables into a folder, or print them.

    Raises:
        CliError: it failed or was cancelled, or a part of it was; what there is, is written before.
    """
    ended = follow(api, study, quiet=json)
    if json:
        print_json(ended)
    if into is not None:
        tell_files(write(api, ended["id"], into, force=force))
    elif not json:
        typer.echo(table_text(api, ended["id"], "markdown"), nl=False)
    complete(succeeded(ended), ended["id"])


def tell_files(paths: list[Path]) -> None:
    """Name what was written."""
    for path in paths:
        typer.echo(path, err=True)


def show_study(result: dict[str, Any], study: str) -> None:
    """Print what has become of its cells."""
    typer.echo(
        f"{result['succeeded']} of {result['cells']} cells succeeded, {result['reused']} of the"
        f" {result['cells']} are reused: `serval study tables {study}` prints the tables."
    )
    complete(result, study)


def complete(result: dict[str, Any], study: str) -> None:
    """Return if all cells came to their end, and all audits by way of other models.

    Raises:
        CliError: naming those that did not.
    """
    missing, unfinished = result["cells"] - result["succeeded"], result["unfinished"]
    if not unfinished:
        return
    if missing:
        lines = [f"{missing} of {result['cells']} cells did not come to their end:"]
    else:
        told = f"All {result['cells']} cells came to their end, but {len(unfinished)} audits by way"
        lines = [f"{told} of other models did not:"]
    for one in unfinished[:SHOWN]:
        reasons = "; ".join(error["message"] for error in one["errors"]) or one["status"]
        lines.append(f"  {one['cell']}: {reasons}")
    lines.append(f"`serval reproduce --resume {study}` tries them again.")
    raise CliError("\n".join(lines))
