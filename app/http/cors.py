"""Pages of other origins that may use the service from a browser (WHATWG Fetch, CORS protocol)."""

from collections.abc import Sequence
from typing import Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

METHODS: Final = ("GET", "POST", "DELETE")
SENT: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Range",
    "X-Request-ID",
)
"""Headers of requests, beside those that any page may send."""
TOLD: Final = (
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "Serval-Signature",
    "Serval-Warnings",
    "Server-Timing",
    "X-Request-ID",
)
"""Headers of answers, beside those that any page may read."""


def install(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins use the service, each with a key that it sends itself.

    Cookies and the browser's own credentials are not asked for, and a page of another origin is
    told nothing. Call it last: errors of all that is further in are for such pages too.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=TOLD,
        )
