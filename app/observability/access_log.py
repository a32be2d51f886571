"""One line in the log for each request, written as its answer ends."""

from typing import Final

import structlog

log = structlog.get_logger("serval.access")

QUIET: Final = {"/healthz", "/readyz", "/metrics"}
"""Asked every few seconds by machines: logged only if they fail."""


def write(
    *, method: str, path: str, status: int, seconds: float, request_id: str, key: str | None
) -> None:
    """Write the line of a request.

    Args:
        status: 499 if the client went away.
        key: the id of the API key; None if the request did not come so far.
    """
    if path in QUIET and status < 400:
        return
    log.info(
        "request",
        method=method,
        path=path,
        status=status,
        ms=round(seconds * 1000, 2),
        request_id=request_id,
        key=key,
    )
