"""Metrics as text, in the format that the Accept header asks for."""

from collections.abc import Callable
from typing import Final

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from app.http.negotiation import media_range

KNOWN: Final = {
    "application/openmetrics-text": {"", "1.0.0"},
    "text/plain": {"", "0.0.4", "1.0.0"},
    "text/*": {""},
    "*/*": {""},
}
"""Media types and their versions. Others never reach the library, which compares what stands there
as numbers and would send it back in the Content-Type."""


def exposition(accept: str | None) -> tuple[Callable[[Collector], bytes], str]:
    """What writes the metrics, and the Content-Type of what it writes.

    Args:
        accept: the header. Nothing in it, or nothing that is known, is the plain text 0.0.4, which
            everything that scrapes can read.
    """
    parts = (accept or "").split(",")
    for part in sorted(parts, key=lambda part: -media_range(part)[1]):
        media_type, weight = media_range(part)
        if weight > 0 and _version(part) in KNOWN.get(media_type, ()):
            return choose_encoder(part.strip())
    return choose_encoder("")


def _version(part: str) -> str:
    for parameter in part.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name == "version":
            return value
    return ""
