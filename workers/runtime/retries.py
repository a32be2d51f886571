"""What passes is waited for: a database that restarts, or a disk that somebody makes room on, does
not cost a job."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.persistence.database import is_away
from app.persistence.disk import is_full

log = structlog.get_logger("workers")

GIVE_UP_SECONDS: Final = 600.0
"""An update of a database server takes minutes. A worker that gives up loses only the work since
its last checkpoint: another attempt follows."""
LONGEST_PAUSE_SECONDS: Final = 5.0

T = TypeVar("T")


def retry_while_database_is_away(
    call: Callable[[], T], *, seconds: float = GIVE_UP_SECONDS, full: bool = True
) -> T:
    """The answer of ``call``, which is repeated while the database is away or its disk is full.

    Args:
        call: must bear being repeated: what seemed to fail may have been committed.
        seconds: after which it is given up.
        full: whether a full disk is waited for, too.

    Raises:
        DBAPIError: it was still away after ``seconds``.
    """
    until = time.monotonic() + seconds
    pause = 0.1
    while True:
        try:
            return call()
        except (DBAPIError, PoolTimeout) as error:
            if (
                not (is_away(error) or (full and is_full(error)))
                or time.monotonic() + pause > until
            ):
                raise
            log.warning("the database is away", error=str(error).splitlines()[0])
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
