"""`serval report`: what an audit found, as a file."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from app.cli.api import DEFAULT_URL, Api, Key, Url, path_to
from app.cli.errors import CliError
from app.cli.writing import Force, refuse_to_overwrite, written

STDOUT: Final = Path("-")


class Format(StrEnum):
    """What a report may be."""

    HTML = "html"
    PDF = "pdf"
    JSON = "json"


def report(
    audit: Annotated[str, typer.Argument(help="Its id, audit_….")],
    *,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="As FILE's name ends if not given, or else html."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write it; - is standard output.",
            show_default="the audit's id, with the format's ending",
        ),
    ] = None,
    force: Force = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Write the report of an audit that has succeeded, whole or not at all."""
    kind = format_ or _ending(output) or Format.HTML
    if output == STDOUT and kind is Format.PDF and sys.stdout.isatty():
        raise CliError("A PDF is nothing for a terminal: give -o FILE, or send it to a program.")
    path = Path(f"{audit}.{kind}") if output is None else output
    asked = path_to("audits", audit, "report")
    with Api(url, key) as api:
        if path == STDOUT:
            _write(api, asked, kind, sys.stdout.buffer)
            return
        refuse_to_overwrite(path, force=force)
        with written(path, force=force) as file:
            _write(api, asked, kind, file)
    typer.echo(path, err=True)


def _write(api: Api, path: str, kind: Format, file: IO[bytes]) -> None:
    with api.stream(path, params={"format": kind.value}) as answer:
        for piece in answer.iter_bytes():
            file.write(piece)
    file.flush()


def _ending(output: Path | None) -> Format | None:
    ending = "" if output is None else output.suffix.lstrip(".").lower()
    return Format(ending) if ending in list(Format) else None
