"""The schema's history (Alembic), brought up to date by `upgrade(url)`; no command line needed."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.persistence.database import CONNECT_TIMEOUT_SECONDS, connect, normalized
from app.persistence.mounts import NETWORK, file_system
from app.settings import BadSetting, Settings, make_data_dir, variable, without_password

_LOCK = 0x5E57A1  # any constant: PostgreSQL's advisory lock of those who migrate


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config


class WrongRevision(RuntimeError):
    """The database is at another revision than this program needs."""


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
        WrongRevision: it is at another one.
        sqlalchemy.exc.SQLAlchemyError: it does not answer.
    """
    with engine.connect() as connection:
        found = current(connection)
    if found != head():
        raise WrongRevision(f"the database is at revision {found}, this program needs {head()}")


def open_database(settings: Settings) -> Engine:
    """The database of the settings, at the newest revision.

    Raises:
        BadSetting: it cannot be opened, or a newer program has brought it further.
    """
    url = settings.database_url
    if not settings.database_url_setting:
        make_data_dir(settings)
    refuse_shared_sqlite(settings)
    try:
        refuse_other_encodings(url)
        upgrade(url)
    except SQLAlchemyError as error:
        raise BadSetting(why_not_open(settings, error)) from error
    except CommandError as error:
        raise BadSetting(
            f"{named_database(settings)}, and the database there is of a newer version of this"
            f" program ({error}): use that version, or another database."
        ) from error
    return connect(url)


def refuse_shared_sqlite(settings: Settings) -> None:
    """Return if the database is none of SQLite's on a file system that several hosts may share.

    Raises:
        BadSetting: it is.
    """
    file = make_url(settings.database_url).database
    if not settings.database_url.startswith("sqlite") or file in {None, "", ":memory:"}:
        return
    kind = file_system(Path(str(file)).absolute().parent)
    if kind in NETWORK:
        raise BadSetting(
            f"{named_database(settings)}, and the SQLite database would lie on {kind}, a file"
            " system of other machines, where its locks do not hold: set DATABASE_URL to a"
            " PostgreSQL."
        )


def refuse_other_encodings(url: str) -> None:
    """Return if a PostgreSQL keeps text in UTF-8; of SQL_ASCII the driver gives bytes for text.

    Raises:
        BadSetting: it keeps it in another one.
    """
    if not normalized(url).startswith("postgresql"):
        return
    import psycopg

    dialect, parsed = create_engine(normalized(url)).dialect, make_url(normalized(url))
    arguments, options = dialect.create_connect_args(parsed)
    try:
        # Not by SQLAlchemy, which asks for the version first, and fails on bytes.
        connection = psycopg.connect(
            *arguments, **{"connect_timeout": CONNECT_TIMEOUT_SECONDS, **options}
        )
    except psycopg.Error:
        return  # whoever opens it says why it cannot
    with connection:
        encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise BadSetting(
            f"{variable('database_url')} is '{without_password(url)}', and the database there is"
            f" in the encoding {encoding}: make one with CREATE DATABASE … ENCODING 'UTF8'"
            " TEMPLATE template0."
        )


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
