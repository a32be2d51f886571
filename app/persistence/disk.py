"""Whether an error means that a disk is full, whoever noticed it."""

import errno
import sqlite3
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

FULL = {errno.ENOSPC, errno.EDQUOT}
SQLITE_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
POSTGRESQL_FULL = "53100"
OS_ERROR_FULL = f"(os error {errno.ENOSPC})"
"""As the writer of safetensors, which is no Python, words it."""


def is_full(error: BaseException) -> bool:
    """Whether there was no room on the disk of the data folder or of the database."""
    return any(_is_full(one) for one in _chain(error))


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in SQLITE_FULL
    return getattr(error, "sqlstate", None) == POSTGRESQL_FULL or OS_ERROR_FULL in str(error)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.orig if isinstance(seen, DBAPIError) and seen.orig else seen.__cause__
