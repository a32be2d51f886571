"""`serval artifacts`: the files that an audit made, in a folder of this machine.

What the service says of a file is believed of its name alone if that is plain, and of its content
when its SHA-256 is right.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.api import DEFAULT_URL, Api, Key, Url, path_to
from app.cli.errors import CliError
from app.cli.output import Json, err_console, print_json
from app.cli.writing import Force, unwritable

is_plain = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}").fullmatch
"""Whether a name leads to nowhere but a file in the folder."""
PART: Final = ".part"
"""What the name of a file ends with while it is not whole."""
PIECE: Final = 1 << 20
PARTIAL: Final = 206


def artifacts(
    audit: Annotated[str, typer.Argument(help="Its id, audit_….")],
    *,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FOLDER", help="Where to; made if it is not there."),
    ],
    force: Force = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    json: Json = False,
) -> None:
    """Fetch all files that an audit made: pictures, sounds and adversarial inputs.

    What is there already is not fetched again, and what was broken off goes on: run it again.
    """
    with Api(url, key) as api:
        listed = list(api.pages(path_to("audits", audit, "artifacts")))
        _check(listed, output, force=force)
        kept = [one for one in listed if one.get("expired_at") is None]
        with _bar(kept, silent=json) as bar:
            task = bar.add_task("Fetching", total=sum(one["bytes"] for one in kept))
            for one in kept:
                _fetch(api, path_to("audits", audit, "artifacts", one["name"]), one, output)
                bar.update(task, advance=one["bytes"])
    _tell(listed, output, json=json)


def _check(listed: Sequence[dict[str, Any]], folder: Path, *, force: bool) -> None:
    """Make the folder, and refuse what would be written outside of it or over another file.

    Raises:
        CliError: naming the file.
    """
    for one in listed:
        if is_plain(one["name"]) is None or one["name"].endswith(PART):
            raise CliError(
                f"The service names a file {one['name']!r}, which is no plain name: nothing is"
                " fetched. Is it a Serval?"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in listed:
            path = folder / one["name"]
            if path.exists() and not force and not _is_whole(path, one):
                raise CliError(
                    f"{path} is there already, and is another file. Give another folder, or"
                    " --force to write over it."
                )
    except OSError as error:
        raise unwritable(folder, error) from error


def _fetch(api: Api, url: str, one: dict[str, Any], folder: Path) -> None:
    """Fetch what is not there of a file.

    Raises:
        CliError: what came is not what the service had said, or cannot be written.
    """
    path = folder / one["name"]
    part = folder / (one["name"] + PART)
    try:
        if path.exists() and _is_whole(path, one):
            return
        if part.exists() and part.stat().st_size >= one["bytes"]:
            part.unlink()  # of another file, or broken: nothing could be added to it
        _go_on(api, url, part, one["bytes"])
        if not _is_whole(part, one):
            part.unlink()
            raise CliError(
                f"{one['name']} came with other content than the service had said. Run the command"
                " again."
            )
        part.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error


def _go_on(api: Api, url: str, part: Path, size: int) -> None:
    """Add to a part what it lacks of so many bytes; what exceeds them is not written."""
    have = part.stat().st_size if part.exists() else 0
    if not size:
        part.touch()
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with api.stream(url, headers=headers) as answer:
        resumed = answer.status_code == PARTIAL
        with part.open("ab" if resumed else "wb") as file:
            left = size - (have if resumed else 0)
            for piece in answer.iter_bytes(PIECE):
                file.write(piece[:left])
                left -= len(piece)
                if left < 0:
                    return


def _is_whole(path: Path, one: dict[str, Any]) -> bool:
    """Whether a file has the size and the SHA-256 that the service says."""
    if path.stat().st_size != one["bytes"]:
        return False
    with path.open("rb") as file:
        return bool(hashlib.file_digest(file, "sha256").hexdigest() == one["sha256"])


def _bar(listed: Sequence[dict[str, Any]], *, silent: bool) -> Progress:
    console = err_console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not listed or not console.is_terminal or silent,
    )


def _tell(listed: Sequence[dict[str, Any]], folder: Path, *, json: bool) -> None:
    gone = [one for one in listed if one.get("expired_at") is not None]
    if json:
        there = [one for one in listed if one not in gone]
        print_json([one | {"path": str(folder / one["name"])} for one in there])
    else:
        typer.echo(f"{len(listed) - len(gone)} files are in {folder}.")
    if gone:
        typer.echo(
            f"{len(gone)} recordings were removed on {gone[0]['expired_at'][:10]}, when their time"
            " was over.",
            err=True,
        )
