"""What log lines look like: for programs, and for a terminal."""

import errno
import json
import logging
import warnings
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


class TestLibraries:
    """What others log is one format with what we log."""

    def test_their_lines_are_json_with_the_name_of_their_logger(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        logs.configure("info")
        rq = logging.getLogger("rq.worker")
        rq.setLevel("INFO")
        rq.info("Worker %s: started", "a")
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
        told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [(one["logger"], one["level"], one["event"]) for one in told] == [
            ("rq.worker", "info", "Worker a: started"),
            ("uvicorn.error", "warning", "Invalid HTTP request received."),
        ]
        assert all("timestamp" in one for one in told)

    def test_pythons_warnings_are_lines_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            logging.captureWarnings(False)  # of an earlier test, which pytest has undone
            logs.configure("info")
            warnings.warn("overflow encountered in square", RuntimeWarning, stacklevel=1)
        (line,) = capsys.readouterr().err.splitlines()
        assert "overflow encountered" in json.loads(line)["event"]

    def test_each_line_is_written_once_however_often_it_is_set_up(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for _ in range(3):
            logs.configure("info", "console")
        logging.getLogger("rq.worker").warning("once")
        assert capsys.readouterr().err.count("once") == 1


class TestCannotStart:
    @pytest.mark.parametrize(("format_", "is_json"), [("json", True), ("console", False)])
    def test_the_reason_is_one_line_in_the_form_that_was_asked_for(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        format_: str,
        is_json: bool,
    ) -> None:
        monkeypatch.setenv("SERVAL_LOG_FORMAT", format_)
        logs.cannot_start("SERVAL_PORT is '70000'.")
        (line,) = capsys.readouterr().err.splitlines()
        assert (json.loads(line)["why"] if is_json else line) == "SERVAL_PORT is '70000'."


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
