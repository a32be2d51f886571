"""What is kept of each request: a line in the log and two metrics, noted some requests at a time.

As nginx does with `access_log … buffer=… flush=…`: noted alone, after a network has swept the
caches, a request costs each prediction a tenth of a millisecond. A process that is killed takes
what it knew of its last tenth of a second with it; errors are logged at once, and elsewhere.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from app.observability.metrics import Metrics

log = structlog.get_logger("serval.access")

FLUSH_SECONDS: Final = 0.1
MOST_REQUESTS: Final = 64
QUIET: Final = {"/healthz", "/readyz", "/metrics"}
"""Asked every few seconds by machines: logged only if they fail."""


class Answered(NamedTuple):
    """One request.

    Attributes:
        at: when its answer was sent, seconds since 1970.
        route: the template of its path, "-" if there is none.
        status: 499 if the client went away.
        key: the id of the API key; None if the request did not come so far.
    """

    at: float
    seconds: float
    method: str
    path: str
    route: str
    status: int
    request_id: str
    key: str | None


class AccessLog:
    """For the event loop alone."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._answered: list[Answered] = []

    def add(self, answered: Answered) -> None:
        """Have it noted within `FLUSH_SECONDS`."""
        self._answered.append(answered)
        if len(self._answered) == 1:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        elif len(self._answered) >= MOST_REQUESTS:
            self.flush()

    def flush(self) -> None:
        """Note what is there."""
        answered, self._answered = self._answered, []
        for one in answered:
            self._metrics.saw(one.method, one.route, one.status, one.seconds)
            if one.path not in QUIET or one.status >= 400:
                _write(one)


def _write(one: Answered) -> None:
    log.info(
        "request",
        timestamp=datetime.fromtimestamp(one.at, UTC).isoformat().replace("+00:00", "Z"),
        method=one.method,
        path=one.path,
        status=one.status,
        ms=round(one.seconds * 1000, 2),
        request_id=one.request_id,
        key=one.key,
    )
