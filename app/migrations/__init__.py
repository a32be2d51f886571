"""The schema's history (Alembic), brought up to date by `upgrade(url)`; no command line needed."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.persistence.database import connect
from app.settings import BadSetting, Settings, make_data_dir, variable, without_password

_LOCK = 0x5E57A1  # any constant: PostgreSQL's advisory lock of those who migrate


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


@cache
def head() -> str:
    """The newest revision."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise RuntimeError("app/migrations/versions holds no revision")
    return revision


def current(connection: Connection) -> str | None:
    """The revision that the database is at."""
    return MigrationContext.configure(connection).get_current_revision()


def check_revision(engine: Engine) -> None:
    """Return if the database answers and is at the newest revision.

    Raises:
        RuntimeError: it is at another one.
        sqlalchemy.exc.SQLAlchemyError: it does not answer.
    """
    with engine.connect() as connection:
        found = current(connection)
    if found != head():
        raise RuntimeError(f"the database is at revision {found}, this program needs {head()}")


def open_database(settings: Settings) -> Engine:
    """The database of the settings, at the newest revision.

    Raises:
        BadSetting: it cannot be opened, or a newer program has brought it further.
    """
    url = settings.database_url
    if not settings.database_url_setting:
        make_data_dir(settings)
    try:
        upgrade(url)
    except SQLAlchemyError as error:
        raise BadSetting(why_not_open(settings, error)) from error
    except CommandError as error:
        raise BadSetting(
            f"{named_database(settings)}, and the database there is of a newer version of this"
            f" program ({error}): use that version, or another database."
        ) from error
    return connect(url)


def named_database(settings: Settings) -> str:
    """The setting that says where the database is, and its value without the password."""
    if settings.database_url_setting:
        return f"{variable('database_url')} is '{without_password(settings.database_url)}'"
    return f"{variable('data_dir')} is '{settings.data_dir.absolute()}'"


def why_not_open(settings: Settings, error: SQLAlchemyError) -> str:
    """Why the database does not answer, in one line that names the setting and a remedy."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    why = " ".join(str(cause).split()) or type(error).__name__  # without the statement
    return (
        f"{named_database(settings)}, and the database there does not open ({why}): start it, or"
        " correct the address."
    )


def upgrade(url: str) -> None:
    """Bring the database to the newest revision: all of it or nothing, one process at a time."""
    engine = connect(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "begin", _lock_sqlite)
    try:
        _upgrade(engine)
    finally:
        engine.dispose()


def _upgrade(engine: Engine) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # A migration may rewrite a large table, or wait for somebody else's that does.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if current(connection) == head():
            return
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _lock_sqlite(connection: Connection) -> None:
    # Python's sqlite3 opens no transaction for CREATE TABLE by itself.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
