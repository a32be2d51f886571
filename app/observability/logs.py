"""Structured logs: one JSON object a line on standard error, or coloured text for a terminal."""

import logging
import sys
from contextlib import suppress
from typing import Literal, TextIO, cast

import structlog


class _StandardError:
    """`sys.stderr` as it is at the moment of writing, wherever somebody redirected it. A line that
    cannot be written, on a full disk, is lost, and no request with it."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def _escape(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """A terminal obeys what it is shown, and a path or an error may hold what others have sent."""
    return {
        name: _harmless(value) if isinstance(value, str) else value for name, value in event.items()
    }


def _harmless(text: str) -> str:
    return "".join(
        letter
        if letter.isprintable() or letter in "\n\t"
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def configure(level: str = "info", format_: Literal["json", "console"] = "json") -> None:
    """Set up logging for this process."""
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if format_ == "json"
        else [_escape, structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _StandardError())),
    )
