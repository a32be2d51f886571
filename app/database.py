"""The database: one synchronous code path for SQLite and PostgreSQL, for the API and the workers.

Every endpoint that reads or writes rows is a plain `def` (it runs in the thread pool) and every
transaction is short. Isolation is READ COMMITTED on both: on SQLite a SELECT opens no transaction
and the first write takes the write lock (BEGIN IMMEDIATE), so that two writers queue up instead of
failing with "database is locked" when a read turns into a write. What must not race is therefore
said in the statement itself: `UPDATE ... WHERE status = 'running' AND attempt = 3`.
"""

import json
import os
import weakref
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import JSON, DateTime, Dialect, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.types import TypeDecorator

from app.schemas import finite

BUSY_TIMEOUT_MS = 10_000  # how long a SQLite writer waits for another's commit
CONNECT_TIMEOUT_SECONDS = 2  # a PostgreSQL that is there answers in milliseconds; libpq takes >= 2


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
            connect_args=_connect_timeout(url),
        )
    _forget_after_fork(engine)
    return engine


def _connect_timeout(url: str) -> dict[str, int]:
    """A limit on connecting, which takes minutes while the host is gone; the URL's own wins."""
    if "connect_timeout" in make_url(url).query:
        return {}
    return {"connect_timeout": CONNECT_TIMEOUT_SECONDS}


def is_away(error: BaseException) -> bool:
    """Whether the error says that the database is away or busy, not that the statement is wrong."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def _set_up_sqlite(connection: Any, _record: object) -> None:
    for pragma in (
        "journal_mode = WAL",  # readers and the writer do not wait for one another
        "synchronous = FULL",  # an accepted job survives a power cut: each commit is on the disk
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


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


async def _session(request: Request) -> AsyncIterator[Session]:
    """One session a request. Opening is free; only a transaction left open costs a thread."""
    session: Session = request.app.state.sessions()
    try:
        yield session
    finally:
        if session.in_transaction():
            await run_in_threadpool(session.close)
        else:
            session.close()


# scope="function": the connection goes back to the pool before the answer is sent, not after.
SessionDep = Annotated[Session, Depends(_session, scope="function")]
