"""How slowly a body may come. Time is a clock's that waits for nothing."""

import asyncio
import json
import math
import selectors
from typing import Any, NamedTuple

import anyio
import pytest
from fastapi import FastAPI, Request
from starlette.types import Message, Scope

from app.http import body_timeout
from tests.conftest import MakeKey

JSON = b"application/json"
FORM = b"multipart/form-data; boundary=x"
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
END_OF_FORM = b"\r\n--x--\r\n"
DAY = 24 * 3600


class Clock(selectors.SelectSelector):
    """Waits for nothing: the time that it was to wait has passed at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += math.ceil(1000 * max(timeout or 0, 0)) / 1000
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """Runs by such a clock, so that a minute takes no time, and a slow machine no minute."""

    def __init__(self) -> None:
        self.clock = Clock()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


class Answer(NamedTuple):
    """What was answered, and when."""

    status: int
    headers: dict[bytes, bytes]
    body: Any
    seconds: float


def answer(
    app: FastAPI, path: str, kind: bytes, pieces: list[bytes], *, every_seconds: float = 1.0
) -> Answer:
    """The answer to a body that comes in pieces. After those that there are, nothing comes."""
    sent: list[Message] = []
    left = [*pieces]

    async def receive() -> Message:
        if not left:
            await anyio.sleep(DAY)
            return {"type": "http.disconnect"}
        await anyio.sleep(every_seconds)
        piece = left.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Message) -> None:
        sent.append(message)

    async def ask() -> float:
        scope: Scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"",
            "headers": [(b"content-type", kind), (b"host", b"localhost")],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
        }
        await app(scope, receive, send)
        return anyio.current_time()

    seconds = anyio.run(ask, backend_options={"loop_factory": Loop})
    start, *parts = sent
    body = b"".join(part["body"] for part in parts)
    return Answer(start["status"], dict(start["headers"]), json.loads(body), seconds)


READS = [
    ("/v1/audits", JSON, b'{"model": "'),
    ("/v1/trainings", JSON, b'{"corpus": "'),
    ("/v1/keys", JSON, b'{"name": "'),
    ("/v1/audits", FORM, FILE),
    ("/v1/corpora", FORM, FILE),
    ("/v1/models", FORM, FILE.replace(b'"file"', b'"weights"')),
]
"""Who reads a body: where it is sent, as what, and how it begins."""


class TestPace:
    @pytest.mark.parametrize(("path", "kind", "head"), READS)
    def test_a_body_that_stops_coming_is_408(
        self, app: FastAPI, path: str, kind: bytes, head: bytes
    ) -> None:
        got = answer(app, path, kind, [head + b"1" * (9 * body_timeout.LEAST_BYTES_PER_SECOND)])
        assert (got.status, got.body["code"]) == (408, "upload_stalled")
        assert "stopped coming for 60 s" in got.body["detail"]
        assert 60 < got.seconds < 62

    @pytest.mark.parametrize(("path", "kind", "head"), READS)
    def test_a_body_that_trickles_is_408(
        self, app: FastAPI, path: str, kind: bytes, head: bytes
    ) -> None:
        trickle = [head, *([b"1"] * 1000)]  # never silent, and never done
        got = answer(app, path, kind, trickle)
        assert (got.status, got.body["code"]) == (408, "upload_too_slow")
        assert "65536 bytes a second" in got.body["detail"]
        assert 60 < got.seconds < 62

    def test_a_slow_body_is_a_problem_and_ends_the_connection(self, app: FastAPI) -> None:
        got = answer(app, "/v1/trainings", JSON, [b"{"])
        assert got.headers[b"content-type"] == b"application/problem+json"
        assert got.headers[b"connection"] == b"close"
        assert got.body["instance"] == "/v1/trainings"

    def test_a_body_whose_sender_has_no_key_is_not_waited_for(
        self, app: FastAPI, make_key: MakeKey
    ) -> None:
        make_key("train")
        assert answer(app, "/v1/trainings", JSON, [b"{"]).status == 408  # it is read before
        assert answer(app, "/v1/trainings", JSON, [b"{}", b""]).status == 401

    @pytest.mark.parametrize("kind", [JSON, FORM])
    def test_a_body_that_keeps_the_rate_may_take_its_time(
        self, monkeypatch: pytest.MonkeyPatch, kind: bytes
    ) -> None:
        monkeypatch.setattr(body_timeout, "LEAST_BYTES_PER_SECOND", 100)
        got = answer(echo(), "/", kind, [*([b"1" * 100] * 600), b""])
        assert (got.status, got.body) == (200, 60_000)
        assert got.seconds > 600

    def test_a_client_may_stay_as_long_as_it_likes_after_its_body(self) -> None:
        got = answer(echo(stay=True), "/", JSON, [b"1", b""])
        assert got.status == 200
        assert got.seconds > DAY


def echo(*, stay: bool = False) -> FastAPI:
    """An application that tells how long a body is, with ``stay`` when the client has gone."""
    app = FastAPI()
    body_timeout.install(app)

    @app.post("/")
    async def length(request: Request) -> int:
        body = await request.body()
        if stay:
            assert (await request.receive())["type"] == "http.disconnect"
        return len(body)

    return app
