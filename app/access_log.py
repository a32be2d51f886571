"""The access log: a line for each request, written some at a time.

As nginx does with `access_log … buffer=… flush=…`: a line that is formatted alone, after a network
has swept the caches, costs each prediction a tenth of a millisecond. A process that is killed takes
the lines of its last tenth of a second with it; errors are logged at once, and elsewhere.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

import structlog

log = structlog.get_logger("serval.access")

FLUSH_SECONDS: Final = 0.1
MOST_LINES: Final = 64


class AccessLog:
    """For the event loop alone."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []

    def add(self, **line: Any) -> None:
        """Have the line written within `FLUSH_SECONDS`, with the time of now."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._lines.append({"timestamp": now, **line})
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        elif len(self._lines) >= MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what is there."""
        lines, self._lines = self._lines, []
        for line in lines:
            log.info("request", **line)
