"""The database: the same on SQLite and PostgreSQL."""

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, QueuePool, event, make_url, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app import migrations
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence import database
from app.persistence.database import (
    CONNECT_TIMEOUT_SECONDS,
    POSTGRESQL,
    connect,
    is_away,
    normalized,
    now,
    sessions,
    why_away,
)
from app.persistence.ids import new_id

LIMIT_MS = 2000
"""Of a statement, in tests of the limit: far more than any takes that is not to reach it."""


def job(**values: object) -> Job:
    given = {"id": new_id("audit"), "kind": JobKind.AUDIT, "owner": "local", "request": {}}
    return Job(**given | values)


class TestMoments:
    def test_moments_come_back_in_utc_to_the_microsecond(self, session: Session) -> None:
        berlin = timezone(timedelta(hours=1))
        moment = datetime(2026, 3, 1, 13, 0, 0, 123456, tzinfo=berlin)
        row = job(created_at=moment)
        session.add(row)
        session.commit()
        session.expire_all()
        assert row.created_at == moment
        assert row.created_at.tzinfo is UTC

    def test_one_without_a_time_zone_is_refused(self, session: Session) -> None:
        session.add(job(created_at=datetime(2026, 3, 1)))  # noqa: DTZ001
        with pytest.raises(Exception, match="no time zone"):
            session.commit()

    def test_now_is_aware(self) -> None:
        assert now().tzinfo is UTC


class TestJson:
    def test_json_keeps_the_order_of_keys(self, session: Session) -> None:
        recall = {"sadness": 0.5, "anger": 0.25, "fear": 1}
        row = job(result={"recall": recall})
        session.add(row)
        session.commit()
        session.expire_all()
        assert row.result is not None
        assert list(row.result["recall"]) == ["sadness", "anger", "fear"]

    def test_nan_and_infinity_become_null(self, session: Session) -> None:
        row = job(result={"loss": [float("nan"), float("inf"), 1.5], "deep": {"x": float("nan")}})
        session.add(row)
        session.commit()
        session.expire_all()
        assert row.result == {"loss": [None, None, 1.5], "deep": {"x": None}}

    def test_any_text_comes_back(self, session: Session) -> None:
        text = "ü\u0000\U0001f600"
        row = job(request={text: text})
        session.add(row)
        session.commit()
        session.expire_all()
        assert row.request == {text: text}


class TestWriters:
    def test_many_at_a_time_lose_no_update_and_fail_nowhere(
        self, session: Session, database_url: str
    ) -> None:
        row = job()
        session.add(row)
        session.commit()
        engine = connect(database_url)
        make = sessions(engine)
        failures: list[BaseException] = []

        def write() -> None:
            try:
                for _ in range(10):
                    with make() as mine:
                        mine.execute(select(Job.version)).all()  # a read that becomes a write
                        mine.execute(update(Job).values(version=Job.version + 1))
                        mine.commit()
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

        threads = [threading.Thread(target=write) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        engine.dispose()
        assert failures == []
        session.refresh(row)
        assert row.version == 81

    def test_one_wins_of_two_conditional_updates(self, session: Session, database_url: str) -> None:
        row = job()
        session.add(row)
        session.commit()
        engine = connect(database_url)
        make, won = sessions(engine), []
        start = threading.Barrier(4)

        def take(status: JobStatus) -> None:
            start.wait()
            with make.begin() as mine:
                statement = update(Job).where(Job.status == JobStatus.QUEUED)
                taken = mine.execute(statement.values(status=status).returning(Job.id)).all()
            won.extend([status] * len(taken))

        statuses = [JobStatus.RUNNING, JobStatus.CANCELLED] * 2
        threads = [threading.Thread(target=take, args=[status]) for status in statuses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        engine.dispose()
        assert len(won) == 1


class TestForks:
    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_child_opens_connections_of_its_own(self, session: Session, settings: object) -> None:
        """The work-horse is forked from a worker that has used the database."""
        session.add(job())
        session.commit()
        engine = session.get_bind()
        assert isinstance(engine, Engine)
        assert isinstance(engine.pool, QueuePool)
        assert engine.pool.checkedin() == 1
        child = os.fork()
        if child == 0:
            status = 1
            try:
                inherited = engine.pool.checkedin()
                with engine.connect() as connection:
                    found = connection.execute(select(Job.id)).all()
                status = 0 if inherited == 0 and len(found) == 1 else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(session.scalars(select(Job)).all()) == 1


class TestConnecting:
    @staticmethod
    def _asked(url: str) -> dict[str, Any]:
        """What the driver would be given."""

        class Stop(Exception):
            """Ends the attempt to connect."""

        engine, asked = connect(url), dict[str, Any]()

        @event.listens_for(engine, "do_connect")
        def stop(_dialect: Any, _record: Any, _args: Any, given: dict[str, Any]) -> None:
            asked.update(given)
            raise Stop

        with pytest.raises(Stop):
            engine.connect()
        return asked

    def test_postgresql_may_not_be_silent_for_long(self) -> None:
        asked = self._asked("postgresql://db/x")
        assert asked.items() >= POSTGRESQL.items()
        assert asked["connect_timeout"] == CONNECT_TIMEOUT_SECONDS

    def test_postgresql_may_be_silent_as_long_as_the_url_says(self) -> None:
        asked = self._asked("postgresql://db/x?connect_timeout=7&keepalives_idle=60")
        assert (asked["connect_timeout"], asked["keepalives_idle"]) == ("7", "60")
        assert asked["tcp_user_timeout"] == POSTGRESQL["tcp_user_timeout"]

    def test_one_that_never_answers_is_given_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            engine = connect(f"postgresql://serval@127.0.0.1:{silent.getsockname()[1]}/serval")
            began = time.monotonic()
            with pytest.raises(OperationalError) as failed:
                engine.connect()
        assert time.monotonic() - began < 60  # for ever otherwise, or as long as the driver likes
        assert is_away(failed.value)


class TestUrls:
    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
    def test_postgresql_is_served_by_psycopg(self, scheme: str) -> None:
        assert normalized(f"{scheme}://u:p@db/x") == "postgresql+psycopg://u:p@db/x"


class TestIsAway:
    """What passes by itself is told from what does not."""

    @staticmethod
    def _error(session: Session, statement: str) -> DBAPIError:
        with pytest.raises(DBAPIError) as failed:
            session.execute(text(statement))
        session.rollback()
        return failed.value

    def test_a_wrong_statement_or_an_absent_table_is_not(self, session: Session) -> None:
        assert not is_away(self._error(session, "SELEC 1"))
        assert not is_away(self._error(session, "SELECT * FROM nothing_of_that_name"))

    def test_a_row_that_is_there_already_is_not(self, session: Session) -> None:
        session.add(job(id="audit_1"))
        session.commit()
        session.expunge_all()
        session.add(job(id="audit_1"))
        with pytest.raises(IntegrityError) as failed:
            session.commit()
        assert not is_away(failed.value)

    def test_a_pool_without_a_free_connection_is(self) -> None:
        assert is_away(PoolTimeout("QueuePool limit reached"))

    @pytest.mark.parametrize(
        "words",
        [
            "FATAL:  sorry, too many clients already",
            "FATAL:  remaining connection slots are reserved for superuser connections",
            'FATAL:  too many connections for role "serval"',
        ],
    )
    def test_one_that_has_no_connection_left_is_told_from_one_that_is_silent(
        self, words: str
    ) -> None:
        full = OperationalError("", {}, Exception(f"connection failed: {words}"))
        silent = OperationalError("", {}, Exception("connection refused"))
        assert why_away(full) == why_away(PoolTimeout("…")) == "has no connection left"
        assert why_away(silent) == "does not answer (OperationalError)"

    def test_an_error_of_something_else_is_not_its_absence(self) -> None:
        assert not is_away(RuntimeError("no"))


class TestSqliteIsAway:
    @pytest.fixture
    def connection(self, tmp_path: Path) -> Iterator[Connection]:
        engine = connect(f"sqlite:///{tmp_path / 'own.db'}")
        with engine.connect() as connection:
            connection.execute(text("CREATE TABLE t (x TEXT)"))
            connection.commit()
            yield connection
        engine.dispose()

    def test_a_database_in_which_another_writes_for_too_long_is_away(
        self, tmp_path: Path, connection: Connection
    ) -> None:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        with closing(sqlite3.connect(tmp_path / "own.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OperationalError, match="locked") as failed:
                connection.execute(text("INSERT INTO t VALUES ('x')"))
        assert is_away(failed.value)

    def test_a_database_on_a_full_disk_is_not_away(self, connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(OperationalError, match="disk is full") as failed:
            connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": "x" * 100_000})
        assert not is_away(failed.value)


class TestPostgresql:
    """Skipped unless DATABASE_URL is one."""

    @pytest.fixture(autouse=True)
    def _only_there(self, database_url: str) -> None:
        if not database_url.startswith("postgres"):
            pytest.skip("DATABASE_URL is not a PostgreSQL's")

    def test_a_connection_that_was_cut_is_away(self, session: Session) -> None:
        with pytest.raises(OperationalError) as failed:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert is_away(failed.value)

    def test_a_full_disk_is_not(self, session: Session) -> None:
        raising = "DO $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$"
        with pytest.raises(OperationalError) as failed:
            session.execute(text(raising))
        assert not is_away(failed.value)

    def test_a_statement_that_takes_too_long_is_ended_and_away(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "STATEMENT_TIMEOUT_MS", LIMIT_MS)
        engine = connect(database_url)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            connection.rollback()  # the limit outlives it
            with pytest.raises(OperationalError, match="statement timeout") as failed:
                connection.execute(text("SELECT pg_sleep(60)"))
        engine.dispose()
        assert is_away(failed.value)

    def test_a_transaction_that_nobody_ends_gives_its_locks_back(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As of a host that was cut off between a write and its commit."""
        monkeypatch.setattr(database, "IDLE_TRANSACTION_TIMEOUT_MS", LIMIT_MS)
        engine = connect(database_url)
        lock = text("SELECT pg_advisory_xact_lock(77)")
        with engine.connect() as gone, engine.connect() as waiting:
            gone.execute(lock)
            waiting.execute(lock)  # it is had as soon as the other transaction was ended
            with pytest.raises(DBAPIError) as failed:
                gone.execute(text("SELECT 1"))
            waiting.rollback()
        engine.dispose()
        assert is_away(failed.value)

    def test_the_url_may_say_how_long(self, database_url: str) -> None:
        options = make_url(database_url).query["options"]
        url = make_url(database_url).update_query_dict(
            {"options": f"{options} -cstatement_timeout=7000"}
        )
        engine = connect(url.render_as_string(hide_password=False))
        with engine.connect() as connection:
            assert connection.scalar(text("SHOW statement_timeout")) == "7s"
        engine.dispose()

    def test_a_migration_takes_as_long_as_it_takes(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        engine = connect(database_url)
        with ThreadPoolExecutor(1) as pool, engine.begin() as other:
            other.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": migrations._LOCK})
            monkeypatch.setattr(database, "STATEMENT_TIMEOUT_MS", LIMIT_MS)
            upgrading = pool.submit(migrations.upgrade, database_url)
            until = time.monotonic() + 30
            while not other.scalar(waits):
                assert time.monotonic() < until
                time.sleep(0.02)
            time.sleep(1.5 * LIMIT_MS / 1000)
            assert not upgrading.done()
            other.rollback()
            upgrading.result()
        engine.dispose()
