"""Structured logs: one JSON object a line on standard error, or coloured text for a terminal."""

import logging
import os
import sys
from contextlib import suppress
from typing import Final, Literal, TextIO, cast

import structlog
import structlog.stdlib


class _StandardError:
    """`sys.stderr` as it is at the moment of writing, wherever somebody redirected it. A line that
    cannot be written, on a full disk, is lost, and no request with it."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


STANDARD_ERROR: Final = cast(TextIO, _StandardError())
HANDLER: Final = "serval"
STAMPED: Final[list[structlog.typing.Processor]] = [
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


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
    """Set up logging for this process: also that of libraries, and Python's warnings."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *STAMPED, *_renderers(format_)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=STANDARD_ERROR),
    )
    handler = logging.StreamHandler(STANDARD_ERROR)
    handler.set_name(HANDLER)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *STAMPED],
            processors=[remove, *_renderers(format_)],
        )
    )
    root = logging.getLogger()
    for other in [one for one in root.handlers if one.get_name() == HANDLER]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(max(number, logging.WARNING))  # of libraries; RQ's worker has a level of its own
    logging.captureWarnings(capture=True)


def cannot_start(why: str) -> None:
    """Say why this process does not start: a line of JSON where SERVAL_LOG_FORMAT asks for that,
    else one for whoever sits at the terminal. The settings may be what does not hold."""
    if os.environ.get("SERVAL_LOG_FORMAT") == "json":
        configure()
        structlog.get_logger("serval").error("cannot start", why=why)
    else:
        STANDARD_ERROR.write(f"{why}\n")


def _renderers(format_: Literal["json", "console"]) -> list[structlog.typing.Processor]:
    if format_ == "json":
        return [structlog.processors.JSONRenderer()]
    return [_escape, structlog.dev.ConsoleRenderer()]
