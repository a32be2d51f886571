"""The database: the same on SQLite and PostgreSQL."""

import os
import socket
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, QueuePool, event, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.database import CONNECT_TIMEOUT_SECONDS, connect, is_away, normalized, now, sessions
from app.ids import new_id
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job


def job(**values: object) -> Job:
    given = {"id": new_id("audit"), "kind": JobKind.AUDIT, "owner": "local", "request": {}}
    return Job(**given | values)


class TestMoments:
    def test_they_come_back_in_utc_to_the_microsecond(self, session: Session) -> None:
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
    def test_it_keeps_the_order_of_keys(self, session: Session) -> None:
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

    def test_of_two_conditional_updates_one_wins(self, session: Session, database_url: str) -> None:
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
    @pytest.mark.parametrize(
        ("url", "seconds"),
        [
            ("postgresql://db/x", CONNECT_TIMEOUT_SECONDS),
            ("postgresql://db/x?connect_timeout=7", "7"),
        ],
    )
    def test_postgresql_is_given_two_seconds_or_what_the_url_says(
        self, url: str, seconds: object
    ) -> None:
        class Stop(Exception):
            """Ends the attempt to connect."""

        engine, asked = connect(url), {}

        @event.listens_for(engine, "do_connect")
        def stop(_dialect: Any, _record: Any, _args: Any, given: dict[str, Any]) -> None:
            asked.update(given)
            raise Stop

        with pytest.raises(Stop):
            engine.connect()
        assert asked["connect_timeout"] == seconds

    def test_one_that_never_answers_is_given_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            engine = connect(f"postgresql://serval@127.0.0.1:{silent.getsockname()[1]}/serval")
            began = time.monotonic()
            with pytest.raises(OperationalError) as failed:
                engine.connect()
        assert time.monotonic() - began < 2 * CONNECT_TIMEOUT_SECONDS
        assert is_away(failed.value)


class TestUrls:
    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
    def test_postgresql_is_served_by_psycopg(self, scheme: str) -> None:
        assert normalized(f"{scheme}://u:p@db/x") == "postgresql+psycopg://u:p@db/x"
