"""Waiting for a database that is away, and for nothing else."""

import sqlite3

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from workers.runtime.retries import retry_while_database_is_away


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


AWAY = OperationalError("SELECT 1", {}, Exception("the server closed the connection"))
WRONG = IntegrityError("INSERT", {}, Exception("unique"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


class TestPatience:
    def test_what_passes_is_waited_for(self) -> None:
        call = Flaky(AWAY, AWAY, AWAY)
        assert retry_while_database_is_away(call) == "answer"
        assert call.calls == 4

    def test_a_full_disk_is_waited_for(self) -> None:
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorcode = sqlite3.SQLITE_FULL
        call = Flaky(OperationalError("INSERT", {}, full), OperationalError("INSERT", {}, full))
        assert retry_while_database_is_away(call) == "answer"

    def test_what_is_wrong_stays_wrong(self) -> None:
        call = Flaky(WRONG)
        with pytest.raises(IntegrityError):
            retry_while_database_is_away(call)
        assert call.calls == 1

    def test_patience_ends(self) -> None:
        call = Flaky(*[AWAY] * 100)
        with pytest.raises(OperationalError):
            retry_while_database_is_away(call, seconds=0)
        assert call.calls == 1
