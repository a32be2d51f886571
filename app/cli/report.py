"""`serval report`: what an audit found, as a file."""

import sys
from base64 import b64decode
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
    """Write the report of an audit that has succeeded, whole or not at all.

    Its signature lies beside it (FILE.sig), for `serval verify`.
    """
    kind = format_ or _ending(output) or Format.HTML
    if output == STDOUT and kind is Format.PDF and sys.stdout.isatty():
        raise CliError("A PDF is nothing for a terminal: give -o FILE, or send it to a program.")
    path = Path(f"{audit}.{kind}") if output is None else output
    asked = path_to("audits", audit, "report")
    with Api(url, key) as api:
        if path == STDOUT:
            _write(api, asked, kind, sys.stdout.buffer)
            return
        beside = path.with_name(f"{path.name}.sig")
        for one in (path, beside):
            refuse_to_overwrite(one, force=force)
        with written(path, force=force) as file:
            signature = _write(api, asked, kind, file)
        if signature is not None:
            with written(beside, force=force) as file:
                file.write(signature)
    typer.echo(path, err=True)


def _write(api: Api, path: str, kind: Format, file: IO[bytes]) -> bytes | None:
    """Write it, and give its signature, which no other request could: HTML and PDF hold the address
    that they were asked at. None of a report that could not be signed."""
    with api.stream(path, params={"format": kind.value}) as answer:
        for piece in answer.iter_bytes():
            file.write(piece)
        signature = answer.headers.get("Serval-Signature")
    file.flush()
    return None if signature is None else b64decode(signature)


def _ending(output: Path | None) -> Format | None:
    ending = "" if output is None else output.suffix.lstrip(".").lower()
    return Format(ending) if ending in list(Format) else None
