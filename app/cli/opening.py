"""The database of this machine's settings, for commands that need no running service."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli.errors import CliError
from app.processes import keep_files_private

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, sessionmaker

    from app.settings import Settings


@contextmanager
def opened(settings: "Settings") -> Iterator["sessionmaker[Session]"]:
    """Sessions on the migrated database.

    Raises:
        CliError: what the service would answer as a problem.
    """
    from app.errors import ServalError
    from app.migrations import open_database
    from app.persistence.database import sessions

    keep_files_private()
    engine = open_database(settings)
    try:
        yield sessions(engine)
    except ServalError as error:
        raise CliError(error.detail) from error
    finally:
        engine.dispose()
