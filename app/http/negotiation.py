"""In which of its forms something is answered: the Accept header (RFC 9110, Sec. 12.5.1)."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

EVERYTHING: Final = "*/*"

K = TypeVar("K", bound=str)

Range = tuple[str, float]
"""A media range, and how much it is wanted: 0 is not at all."""


class NegotiatedRoute(APIRoute):
    """A route whose answers hang on Accept: each tells caches so, refusals too."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def varying(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).add_vary_header("Accept")
            await send(message)

        await super().handle(scope, receive, varying)


def best(accept: str | None, offers: Mapping[K, str]) -> K | None:
    """The name of the offer that the header likes best; None if it allows none.

    Of offers that it likes as much, the one that it names first; then the one offered first.

    Args:
        accept: the header; None or nothing in it allows everything.
        offers: media types by name.
    """
    parts = [part for part in (accept or "").split(",") if part.strip()] or [EVERYTHING]
    ranges = [media_range(part) for part in parts]
    liked = {name: _liking(media_type, ranges) for name, media_type in offers.items()}
    name = max(liked, key=lambda name: liked[name])
    return name if liked[name][0] > 0 else None


def _liking(media_type: str, ranges: Sequence[Range]) -> tuple[float, int]:
    """How much it is wanted, and how early it is named: the more, the larger."""
    for pattern in (media_type, f"{media_type.partition('/')[0]}/*", EVERYTHING):
        found = [(weight, -place) for place, (one, weight) in enumerate(ranges) if one == pattern]
        if found:  # the most specific range decides, whatever others say
            return max(found)
    return 0.0, 0


def media_range(part: str) -> Range:
    """One member of the header: the media range, and how much it is wanted."""
    pattern, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            weight = _weight(value)
    return pattern, weight


def _weight(value: str) -> float:
    """What cannot be understood is not wanted."""
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if weight > 0 else 0.0  # NaN is not
