"""Lines of the access log are written together, soon, and none is lost by an end in good order."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app import logs
from app.access_log import FLUSH_SECONDS, MOST_LINES, AccessLog
from app.main import create_app
from app.settings import Settings


@pytest.fixture(autouse=True)
def _told() -> Iterator[None]:
    logs.configure("info")
    yield
    logs.configure("error")


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_written_soon_with_the_time_at_which_it_was_added(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def run() -> list[dict[str, Any]]:
        AccessLog().add(path="/v1/jobs", status=200)
        at_once = written(capsys)
        await asyncio.sleep(5 * FLUSH_SECONDS)
        return at_once

    began = time.time()
    assert asyncio.run(run()) == []
    (line,) = written(capsys)
    assert (line["event"], line["path"], line["status"]) == ("request", "/v1/jobs", 200)
    added = datetime.fromisoformat(line["timestamp"])
    assert line["timestamp"].endswith("Z")
    assert 0 <= added.timestamp() - began < FLUSH_SECONDS


def test_many_lines_do_not_wait_and_keep_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        log = AccessLog()
        for number in range(MOST_LINES):
            log.add(number=number)

    asyncio.run(run())
    assert [line["number"] for line in written(capsys)] == list(range(MOST_LINES))


def test_lines_after_a_flush_are_written_too(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        log = AccessLog()
        log.add(number=1)
        log.flush()
        log.add(number=2)
        await asyncio.sleep(5 * FLUSH_SECONDS)

    asyncio.run(run())
    assert [line["number"] for line in written(capsys)] == [1, 2]


def test_a_service_that_stops_writes_what_is_left(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    chatty = settings.model_copy(update={"log_level": "info"})
    with TestClient(create_app(chatty), base_url="http://127.0.0.1:8000") as client:
        capsys.readouterr()
        client.get("/v1/jobs")
    assert [line["path"] for line in written(capsys) if line["event"] == "request"] == ["/v1/jobs"]
