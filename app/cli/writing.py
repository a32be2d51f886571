"""Files that a command writes: whole or not at all, and none over another by accident."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated

import typer

from app.cli.errors import CliError

Force = Annotated[bool, typer.Option("--force", help="Write over what is there.")]


@contextmanager
def written(path: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A file to write to. It appears under its name when the block has ended well.

    Raises:
        CliError: there is a file of that name and ``force`` is not given, or it cannot be written.
    """
    refuse_to_overwrite(path, force=force)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        refuse_to_overwrite(path, force=force)
        part.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def refuse_to_overwrite(path: Path, *, force: bool) -> None:
    """Return if nothing is there, or may be written over.

    Raises:
        CliError: something is.
    """
    if not force and path.exists():
        raise CliError(f"{path} is there already. Give another name, or --force to write over it.")


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
    if not path.exists() or path.is_file():
        with written(path, force=True) as file:
            file.write(text.encode())
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> CliError:
    """What to say of a file that cannot be written."""
    return CliError(f"{path} cannot be written: {error.strerror or error}.")
