"""What log lines look like: for programs, and for a terminal."""

import errno
import json
from collections.abc import Iterator

import pytest
import structlog

from app.observability import logs

CLEARED = "/v1/\x1b[2J\x9b2J\x07\u202e\ud800"
"""A path that clears a terminal twice, rings its bell, turns its text round and is no text."""


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    logs.configure("error")


class TestConsole:
    @pytest.fixture(autouse=True)
    def _console(self) -> None:
        logs.configure("info", "console")

    def test_what_was_sent_does_nothing_to_the_terminal(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        structlog.get_logger().info("request", path=CLEARED)
        assert r"/v1/\x1b[2J\x9b2J\x07\u202e\ud800" in capsys.readouterr().err

    def test_what_an_error_says_does_nothing_to_the_terminal(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        try:
            raise ValueError(CLEARED)
        except ValueError:
            structlog.get_logger().exception("request failed")
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1] == r"ValueError: /v1/\x1b[2J\x9b2J\x07\u202e\ud800"
        assert len(lines) > 3  # a traceback is still one of many lines

    def test_letters_of_any_language_stay(self, capsys: pytest.CaptureFixture[str]) -> None:
        structlog.get_logger().info("request", path="/v1/é漢字")
        assert "/v1/é漢字" in capsys.readouterr().err


class TestJson:
    def test_a_line_holds_what_was_sent(self, capsys: pytest.CaptureFixture[str]) -> None:
        logs.configure("info")
        structlog.get_logger().info("request", path=CLEARED)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.isprintable()
        assert json.loads(line)["path"] == CLEARED


class TestFullDisk:
    def test_a_line_that_cannot_be_written_is_lost_without_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []

        class Full:
            def write(self, text: str = "") -> None:
                asked.append(text)
                raise OSError(errno.ENOSPC, "No space left on device")

            flush = write

        logs.configure("info")
        with monkeypatch.context() as patch:
            patch.setattr("sys.stderr", Full())
            structlog.get_logger().info("request")
        assert "request" in asked[0]
