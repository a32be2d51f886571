"""A request that is read with few steps says what Starlette's says."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.errors import TooLarge
from app.predictions.quick_request import QuickRequest

MOST = 10


class Wire:
    """Gives messages one by one and counts those that were taken."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = messages
        self.taken = 0

    async def receive(self) -> Message:
        self.taken += 1
        return self._messages[self.taken - 1]

    async def send(self, message: Message) -> None:
        raise AssertionError(f"nothing is sent: {message}")


def pieces(*parts: bytes, last: bool = True) -> list[Message]:
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    if last:
        messages[-1]["more_body"] = False
    return messages


def request(wire: Wire, *headers: tuple[bytes, bytes]) -> QuickRequest:
    scope = {"type": "http", "method": "POST", "path": "/", "headers": list(headers)}
    return QuickRequest(scope, wire.receive, wire.send, most_bytes=MOST)


class TestHeaders:
    HEADERS = ((b"x-who", b"me"), (b"accept", b"\xe9"), (b"x-who", b"you"))

    @pytest.mark.parametrize("name", ["x-who", "X-Who", "accept", "Accept", "absent"])
    def test_are_looked_up_as_starlettes_are(self, name: str) -> None:
        ours = request(Wire([]), *self.HEADERS).headers
        theirs = Request({"type": "http", "headers": list(self.HEADERS)}).headers

        def said(headers: Any) -> list[Any]:
            known = name in headers
            found = headers[name] if known else None
            return [known, found, headers.get(name), headers.get(name, "-"), headers.getlist(name)]

        assert said(ours) == said(theirs)
        assert ours.items() == theirs.items()
        assert ours == theirs

    def test_one_that_is_absent_is_a_key_error(self) -> None:
        with pytest.raises(KeyError, match="absent"):
            request(Wire([])).headers["absent"]


class TestBody:
    @pytest.mark.parametrize(
        "parts", [[b""], [b"abc"], [b"abc", b"", b"def"], [b"x" * MOST], [b"x"] * MOST]
    )
    def test_is_all_of_its_pieces(self, parts: list[bytes]) -> None:
        wire = Wire(pieces(*parts))
        assert asyncio.run(request(wire).body()) == b"".join(parts)
        assert wire.taken == len(parts)

    @pytest.mark.parametrize(
        ("parts", "taken"), [([b"x" * (MOST + 1)], 1), ([b"x" * MOST, b"y", b"z"], 2)]
    )
    def test_that_is_too_large_is_read_no_further(self, parts: list[bytes], taken: int) -> None:
        wire = Wire(pieces(*parts))
        with pytest.raises(TooLarge, match="larger than the 10 bytes"):
            asyncio.run(request(wire).body())
        assert wire.taken == taken

    @pytest.mark.parametrize("length", [b"11", b"9" * 5000])
    def test_that_is_declared_too_large_is_not_read(self, length: bytes) -> None:
        wire = Wire(pieces(b"x"))
        with pytest.raises(TooLarge, match="larger than the 10 bytes"):
            asyncio.run(request(wire, (b"content-length", length)).body())
        assert wire.taken == 0

    @pytest.mark.parametrize("length", [b"10", b"", b"-1", b"x", b"\xb2"])
    def test_any_other_length_is_left_to_be_seen(self, length: bytes) -> None:
        reading = request(Wire(pieces(b"abc")), (b"content-length", length)).body()
        assert asyncio.run(reading) == b"abc"

    def test_whose_client_goes_away_has_no_end(self) -> None:
        wire = Wire([*pieces(b"abc", last=False), {"type": "http.disconnect"}])
        with pytest.raises(ClientDisconnect):
            asyncio.run(request(wire).body())
