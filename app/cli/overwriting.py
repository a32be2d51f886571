"""Files that a command writes anew each time: whole, or as they were."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from app.cli.errors import CliError


def check_writable(path: Path) -> None:
    """Return if a file can be written there: nobody should learn of it after an hour's work.

    Raises:
        CliError: it cannot.
    """
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise CliError(
            f"{path} cannot be written: give a file in a folder that is there and may be written."
        )


def write_over(path: Path, text: str) -> None:
    """Write a file whole, over the one that is there. A device or a pipe is written as it is.

    Raises:
        CliError: it cannot be written; what was there is there still.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
