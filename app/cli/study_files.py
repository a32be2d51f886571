"""A study's tables and figures as files of this machine."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from app.cli.api import Api, Refused, is_id, path_to
from app.cli.errors import CliError
from app.cli.writing import refuse_to_overwrite, unwritable, written

TABLES: Final[Mapping[str, str]] = {
    "markdown": "tables.md",
    "latex": "tables.tex",
    "csv": "tables.csv",
    "json": "tables.json",
}
"""Names of the files, by format."""
TABLE_SECONDS: Final = 600.0
"""The service draws thousands of samples of speakers and seeds for each figure."""
RETRY_SECONDS: Final = 2.0
BUSY: Final = 503


def check_folder(folder: Path, *, force: bool) -> None:
    """Make the folder, and return if nothing in it is in the way: nobody should learn of it after
    a night's work.

    Raises:
        CliError: naming what is.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    for name in TABLES.values():
        refuse_to_overwrite(folder / name, force=force)


def write(api: Api, study: str, folder: Path, *, force: bool) -> list[Path]:
    """All tables in all formats, and all figures; each file is written whole or not at all.

    Raises:
        CliError: a file is there already and ``force`` is not given, or cannot be written.
    """
    check_folder(folder, force=force)
    found = []
    for form, name in TABLES.items():
        text = table_text(api, study, form)
        found.append(_write(folder / name, text.encode(), force=force))
    for one in json.loads(_made(api, path_to("studies", study, "figures")))["data"]:
        name, path = _plain(one)
        found.append(_write(folder / name, _made(api, path), force=force))
    return found


def table_text(api: Api, study: str, form: str) -> str:
    """All tables in a format."""
    return _made(api, path_to("studies", study, "tables"), format=form).decode()


def _made(api: Api, path: str, **params: str) -> bytes:
    """What the service makes of a study. While it makes that of another one, this one waits.

    Raises:
        Refused: there is no such study; or it takes longer than :data:`TABLE_SECONDS`.
    """
    until = time.monotonic() + TABLE_SECONDS
    while True:
        try:
            return api.content(path, seconds=TABLE_SECONDS, **params)
        except Refused as error:
            if error.status != BUSY or time.monotonic() > until:
                raise
        time.sleep(RETRY_SECONDS)


def _plain(figure: Mapping[str, Any]) -> tuple[str, str]:
    """Name and path of a figure, which is the study's own or an artifact of one of its audits.

    Raises:
        CliError: it would lead elsewhere.
    """
    name, url = str(figure["name"]), str(figure["url"])
    start, version, *parts = url.split("/")
    if is_id(name) is None or (start, version) != ("", "v1") or not all(map(is_id, parts)):
        raise CliError(f"The service names a figure {name!r} at {url!r}, which is no plain name.")
    return name, url


def _write(path: Path, content: bytes, *, force: bool) -> Path:
    with written(path, force=force) as file:
        file.write(content)
    return path
