"""A worker that lacks what it needs: it says so once, waits, and goes on when it is there."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.migrations import upgrade
from app.operations.heartbeat import Heartbeats
from app.settings import Settings
from tests.faults.stack import START_SECONDS, Process, Valkey, until

Line = tuple[str, str]


class Worker:
    """An audit worker that logs JSON, with a data folder and a Valkey of its own, both absent."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            data_dir=folder / "data",
            database_url_setting=f"sqlite:///{folder / 'data' / 'serval.db'}",
        )
        self.valkey = Valkey(folder / "valkey", "127.0.0.1")
        env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        env |= {
            "REDIS_URL": self.valkey.url,
            "SERVAL_DATA_DIR": str(folder / "data"),
            "SERVAL_LOG_FORMAT": "json",
        }
        self.process = Process(
            [sys.executable, "-m", "workers", "audits"], env, folder / "worker.log"
        )

    def said(self) -> list[dict[str, Any]]:
        """All its lines: each is JSON, RQ's too."""
        return [json.loads(line) for line in self.process.log.read_text().splitlines()]

    def outages(self) -> list[Line]:
        return [(one["event"], one["part"]) for one in self.said() if "part" in one]

    def healthy(self) -> bool:
        return Heartbeats.of(self.settings, "audits").why_not() is None


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.process.end()
    if worker.valkey._process is not None:
        worker.valkey.kill()


class TestWhatAWorkerLacks:
    def test_it_is_told_once_at_the_start_and_once_when_it_is_lost(self, worker: Worker) -> None:
        until(lambda: len(worker.outages()) == 2, START_SECONDS, "it says what is missing")
        assert worker.outages() == [("waiting", "database"), ("waiting", "queue")]
        database, queue = (one["why"] for one in worker.said()[:2])
        assert database.startswith(f"SERVAL_DATA_DIR is '{worker.settings.data_dir}'")
        assert "run `serval migrate`" in database
        assert queue.startswith(f"REDIS_URL is '{worker.valkey.url}'")
        assert not worker.healthy()

        upgrade(worker.settings.database_url)
        worker.valkey.start()
        until(worker.healthy, START_SECONDS, "it works")
        assert worker.outages()[2:] == [("back", "database"), ("back", "queue")]

        worker.valkey.kill()
        until(lambda: len(worker.outages()) == 5, 30, "it says that Redis is gone")
        worker.valkey.start()
        until(lambda: len(worker.outages()) == 6, 30, "it says that Redis is back")
        assert worker.outages()[4:] == [("waiting", "queue"), ("back", "queue")]

        worker.process.send(signal.SIGTERM)
        assert worker.process.wait(15) == 0
        assert {"rq.worker", None} == {one.get("logger") for one in worker.said()}

    def test_one_that_still_waits_ends_in_good_order(self, worker: Worker) -> None:
        until(lambda: bool(worker.outages()), START_SECONDS, "it says what is missing")
        worker.process.send(signal.SIGTERM)
        assert worker.process.wait(15) == 0
