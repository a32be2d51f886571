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
        found.append(_write(folder / name, table_text(api, study, form), force=force))
    for one in json.loads(_made(api, study, "figures"))["data"]:
        name = _plain(one)
        found.append(_write(folder / name, _made(api, study, "figures", name), force=force))
    return found


def table_text(api: Api, study: str, form: str) -> str:
    """All tables in a format."""
    return _made(api, study, "tables", format=form)


def _made(api: Api, study: str, *what: str, **params: str) -> str:
    """What the service makes of a study. While it makes that of another one, this one waits.

    Raises:
        Refused: there is no such study; or it takes longer than :data:`TABLE_SECONDS`.
    """
    until = time.monotonic() + TABLE_SECONDS
    while True:
        try:
            return api.text(path_to("studies", study, *what), seconds=TABLE_SECONDS, **params)
        except Refused as error:
            if error.status != BUSY or time.monotonic() > until:
                raise
        time.sleep(RETRY_SECONDS)


def _plain(one: Mapping[str, Any]) -> str:
    name = str(one["name"])
    if is_id(name) is None:
        raise CliError(f"The service names a figure {name!r}, which is no plain name.")
    return name


def _write(path: Path, text: str, *, force: bool) -> Path:
    with written(path, force=force) as file:
        file.write(text.encode())
    return path
