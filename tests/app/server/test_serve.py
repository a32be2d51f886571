"""The server as `serval serve` configures it."""

import contextlib
import http.client
import time
from collections.abc import Iterator

import pytest

from app.main import create_app
from app.settings import Settings
from tests.app.listening import listening

MOST = 3


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    """That of a server that takes so many connections."""
    few = settings.model_copy(update={"max_connections": MOST})
    with listening(create_app(few), few) as port:
        yield port


def probe(connection: http.client.HTTPConnection) -> tuple[int, bytes]:
    """Status and body of /healthz. The connection stays open, if the server lets it."""
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    return answer.status, answer.read()


class TestConnections:
    def test_a_request_on_one_too_many_is_503_until_another_is_closed(self, port: int) -> None:
        with contextlib.ExitStack() as opened:

            def connection() -> http.client.HTTPConnection:
                new = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                return opened.enter_context(contextlib.closing(new))

            idle = [connection() for _ in range(MOST)]
            assert [probe(one)[0] for one in idle] == [200] * MOST
            assert probe(connection()) == (503, b"Service Unavailable")
            idle[0].close()
            until = time.monotonic() + 20
            while probe(connection())[0] != 200:  # the server has not seen yet that it is closed
                assert time.monotonic() < until
                time.sleep(0.01)
