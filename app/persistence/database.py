"""The database: one synchronous code path for SQLite and PostgreSQL, for the API and the workers.

Every endpoint that reads or writes rows is a plain `def` (it runs in the thread pool) and every
transaction is short. Isolation is READ COMMITTED on both: on SQLite a SELECT opens no transaction
and the first write takes the write lock (BEGIN IMMEDIATE), so that two writers queue up instead of
failing with "database is locked" when a read turns into a write. What must not race is therefore
said in the statement itself: `UPDATE ... WHERE status = 'running' AND attempt = 3`.
"""

import json
import os
import re
import sqlite3
import weakref
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import JSON, DateTime, Dialect, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

from app.schemas import finite
from app.state import state_of

BUSY_TIMEOUT_MS = 10_000  # how long a SQLite writer waits for another's commit
CONNECT_TIMEOUT_SECONDS = 2  # a PostgreSQL that is there answers in milliseconds; libpq takes >= 2

# A PostgreSQL whose machine or network is cut off says nothing at all, and a statement that was
# sent to it would hold its thread for the quarter of an hour that TCP goes on trying.
POSTGRESQL = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "tcp_user_timeout": 10_000,  # ms that what was sent may go without being acknowledged
    "keepalives_idle": 10,  # while an answer is waited for nothing is sent: so ask, after 10 s,
    "keepalives_interval": 5,  # every 5 s,
    "keepalives_count": 3,  # three times: 25 s
}
"""Options of libpq. What the URL says itself goes before."""
STATEMENT_TIMEOUT_MS = 30_000
"""Of PostgreSQL. Each statement here takes milliseconds; one that waits longer for another's lock
fails, as on SQLite, instead of holding its thread and its connection."""
IDLE_TRANSACTION_TIMEOUT_MS = 60_000
"""Of PostgreSQL. A host that is cut off between a write and its commit would keep the row locked
until TCP finds out, which the server's defaults leave for two hours."""

SQLITE_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
POSTGRESQL_PASSING = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "53300",  # too_many_connections
    "55P03",  # lock_not_available
    "57014",  # query_canceled: the statement's time-out
    "57P01",  # admin_shutdown
    "57P02",  # crash_shutdown
    "57P03",  # cannot_connect_now: it is starting up or shutting down
}
"""The states (SQLSTATE) that pass by themselves, besides class 08, which is the connection's."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, always aware in Python. SQLite has no time zones, so none is stored."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; use now()")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002  (SQLAlchemy passes it)
    ) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Base of every table. Constraints have names, so that a migration can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  (SQLAlchemy reads it from the class)
        datetime: UtcDateTime,
        # Plain JSON, not JSONB: it keeps the order of keys, which a list of labels relies on.
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
    }


def _to_json(value: Any) -> str:
    """JSON that both databases take: a loss may be NaN, which JSON cannot say."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(finite(value), allow_nan=False)


def normalized(url: str) -> str:
    """``url`` with the driver that is installed: postgres://… is served by psycopg 3."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


def connect(url: str) -> Engine:
    """An engine for ``url``. Safe to fork after: the child opens connections of its own."""
    url = normalized(url)
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            json_serializer=_to_json,
            pool_size=20,
            max_overflow=40,
            connect_args={"isolation_level": "IMMEDIATE", "timeout": BUSY_TIMEOUT_MS / 1000},
        )
        event.listen(engine, "connect", _set_up_sqlite)
    else:
        engine = create_engine(
            url,
            json_serializer=_to_json,
            pool_size=10,
            max_overflow=50,
            pool_pre_ping=True,
            connect_args=_but_those_of(url, POSTGRESQL),
        )
        if "statement_timeout" not in str(make_url(url).query.get("options", "")):
            event.listen(engine, "connect", _set_up_postgresql)
    _forget_after_fork(engine)
    return engine


def _but_those_of(url: str, options: Mapping[str, int]) -> dict[str, int]:
    """The options that the URL does not give itself."""
    given = make_url(url).query
    return {name: value for name, value in options.items() if name not in given}


def is_away(error: BaseException) -> bool:
    """Whether the database is away or busy, which passes: not that the statement is wrong, nor
    that a table is absent or the disk is full, which a repetition does not mend."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    return isinstance(error, OperationalError) and _passes(error.orig)


def why_away(error: BaseException) -> str:
    """What a database that `is_away` does, as anybody may be told."""
    if isinstance(error, PoolTimeout) or _no_connection_left(str(getattr(error, "orig", ""))):
        return "has no connection left"
    return f"does not answer ({type(error).__name__})"


_no_connection_left = re.compile("too many clients|connection slots|too many connections").search
"""PostgreSQL's words: the driver tells no state of a connection that was refused."""


def _passes(cause: BaseException | None) -> bool:
    """Whether what the driver raised as its OperationalError passes by itself."""
    if isinstance(cause, sqlite3.Error):
        # The lowest byte is the kind of error, the others say more of it.
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in SQLITE_PASSING
    state = getattr(cause, "sqlstate", None)
    if state is None:  # not said by PostgreSQL but of it: it could not be reached
        return True
    return state in POSTGRESQL_PASSING or state.startswith("08")


def _set_up_sqlite(connection: Any, _record: object) -> None:
    for pragma in (
        "journal_mode = WAL",  # readers and the writer do not wait for one another
        "synchronous = FULL",  # an accepted job survives a power cut: each commit is on the disk
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _set_up_postgresql(connection: Any, _record: object) -> None:
    # Not as an option of the connection: poolers such as PgBouncer refuse those that they do not
    # know.
    connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
    connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_TRANSACTION_TIMEOUT_MS}")
    connection.commit()


def _forget_after_fork(engine: Engine) -> None:
    """A connection shared by two processes corrupts its stream; the child must not touch it."""
    reference = weakref.ref(engine)

    def forget() -> None:
        inherited = reference()
        if inherited is not None:
            inherited.dispose(close=False)

    os.register_at_fork(after_in_child=forget)


def sessions(engine: Engine) -> sessionmaker[Session]:
    """Sessions on ``engine``; what was loaded stays readable after a commit."""
    return sessionmaker(engine, expire_on_commit=False)


@dataclass(frozen=True, kw_only=True)
class DatabaseState:
    """What the database needs of the application's state.

    Attributes:
        engine: whose connections are closed at the end.
        sessions: on it.
    """

    engine: Engine
    sessions: sessionmaker[Session]


async def _session(request: Request) -> AsyncIterator[Session]:
    """One session a request. Opening is free; only a transaction left open costs a thread."""
    session = state_of(request, DatabaseState).sessions()
    try:
        yield session
    finally:
        if session.in_transaction():
            await run_in_threadpool(session.close)
        else:
            session.close()


# scope="function": the connection goes back to the pool before the answer is sent, not after.
SessionDep = Annotated[Session, Depends(_session, scope="function")]
